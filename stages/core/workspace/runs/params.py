"""All of ``params.yaml`` at once, for the commands that see to a whole workspace."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ...base.params import Block, Name, load_yaml, validate
from ...data.datasets.settings import Fetch
from ...data.inspection.settings import Check
from ...data.trainset.settings import Prepare
from ...drift.rule.settings import Compare
from ...drift.versions.settings import History, Register
from ...measures.cohort.settings import Floor
from ...measures.morphometry.settings import Measure
from ...model.segmentation.settings import Segment
from ...model.training.settings import Train
from ...reports.drift_report.settings import Report


class Params(Block):
    """All of ``params.yaml``: one block per stage that has any number to tune."""

    profile: Name
    fetch: Fetch
    check: Check
    prepare: Prepare
    train: Train
    segment: Segment
    measure: Measure
    floor: Floor
    history: History
    compare: Compare
    report: Report
    # pydantic's own classes have a method `register`; the block keeps the stage's name
    registration: Register = Field(alias="register")


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``."""
    params: Params = validate(Params, load_yaml(path), str(path))
    return params
