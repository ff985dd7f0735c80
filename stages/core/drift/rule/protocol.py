"""The declaration of what a version will be judged by, before it is measured: rule, contrasts, range, frozen set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import PipelineError
from ...base.files import read_json
from .settings import Compare

FILE = "protocol.json"
#: Items of the rule that state a bias in other words and judge nothing.
WORDS = {"atrophy_mm2_per_year"}


@dataclass(frozen=True)
class Protocol:
    """What was declared for a bundle.

    Attributes
    ----------
    items : what is fixed, by name, as text
    when : ISO time of the declaration; ``""`` when it is recorded nowhere, because history was offline
    before_results : False where MLflow held results of this bundle already
    """

    bundle: str
    items: Mapping[str, str]
    when: str
    before_results: bool


def items(rule: Compare, contrasts: Sequence[str], range_name: str, frozen: str) -> dict[str, str]:
    """Return what is declared, by name and as text.

    Parameters
    ----------
    rule, contrasts : of the comparison
    range_name : the monitored range
    frozen : digest of the frozen set
    """
    fixed = {name: f"{value:g}" for name, value in rule.model_dump().items() if name not in WORDS}
    return {**fixed, "contrasts": ", ".join(contrasts), "range": range_name, "frozen": frozen}


def read_protocol(folder: Path, bundle: str) -> Protocol:
    """Read what was declared for a bundle.

    Raises
    ------
    PipelineError
        Nothing was declared, or it was declared for another bundle.
    """
    value = read_json(folder / FILE, error=PipelineError)
    if value["bundle"] != bundle:
        raise PipelineError(
            f"{folder / FILE} was declared for the bundle {str(value['bundle'])[:12]}, the masks are of {bundle[:12]}; "
            "run `dvc repro declare`: the rule by which a version is judged is fixed before the version is measured."
        )
    fixed = {str(name): str(text) for name, text in value["items"].items()}
    return Protocol(bundle, fixed, str(value["when"]), bool(value["before_results"]))
