"""All blocks of ``params.yaml`` together, for commands that act on a whole workspace."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from ...base.errors import SettingsError
from ...base.params import Block, Name, load_yaml, validate
from ...data.datasets.settings import Fetch
from ...data.inspection.settings import Check
from ...data.trainset.settings import Prepare
from ...drift.inputs.settings import Survey
from ...drift.rule.settings import Compare
from ...drift.versions.settings import History, Register
from ...measures.cohort.settings import Floor
from ...measures.morphometry.settings import Measure
from ...model.segmentation.settings import Segment
from ...model.training.settings import Train
from ...phantom.dataset.settings import Paint
from ...reports.drift_report.settings import Report


class Params(Block):
    """The content of ``params.yaml``: the name of the profile, and one block for each stage that has settings."""

    profile: Name
    fetch: Fetch
    check: Check
    prepare: Prepare
    paint: Paint
    train: Train
    segment: Segment
    measure: Measure
    floor: Floor
    history: History
    survey: Survey
    compare: Compare
    report: Report
    # The block is called `register`, but classes of pydantic already have a method of this name.
    registration: Register = Field(alias="register")

    @model_validator(mode="after")
    def _painted(self) -> Params:
        if not self.train.painted.share or self.train.plan is None:
            return self
        patch = self.train.plan.patch_size[::-1]
        if not self.paint.anatomies or any(n < m for n, m in zip(self.paint.size, patch, strict=True)):
            raise ValueError(
                f"train.painted.share needs paint.anatomies of at least 1 and a paint.size of at least {patch}, the "
                "patch of train.plan along x, y, z"
            )
        if any(abs(size - self.paint.voxel_mm) > 1e-6 for size in self.train.plan.spacing_mm):
            raise ValueError(f"paint.voxel_mm is {self.paint.voxel_mm}, but must be that of train.plan.spacing_mm")
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``.

    Raises
    ------
    SettingsError
        The file is missing, a key is unknown or missing, or a value is out of its range.
    """
    params: Params = validate(Params, load_yaml(path), str(path), error=SettingsError)
    return params
