"""By what a version will be judged, declared before it is measured: the rule, contrasts, range and frozen set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import CordriftError
from ...base.files import read_json
from .settings import Compare

FILE = "protocol.json"
#: Of the rule, what states a bias in other words and judges nothing.
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
    """What is declared, by name."""
    fixed = {name: f"{value:g}" for name, value in rule.model_dump().items() if name not in WORDS}
    return {**fixed, "contrasts": ", ".join(contrasts), "range": range_name, "frozen": frozen}


def read_protocol(folder: Path, bundle: str) -> Protocol:
    """Read what was declared for a bundle.

    Raises
    ------
    CordriftError
        Nothing was, or for another bundle: results come after the declaration.
    """
    value = read_json(folder / FILE)
    if value["bundle"] != bundle:
        raise CordriftError(
            f"{folder / FILE} was declared for the bundle {str(value['bundle'])[:12]}, the masks are of {bundle[:12]}; "
            "run `dvc repro declare`: by what a version is judged is fixed before it is measured."
        )
    fixed = {str(name): str(text) for name, text in value["items"].items()}
    return Protocol(bundle, fixed, str(value["when"]), bool(value["before_results"]))
