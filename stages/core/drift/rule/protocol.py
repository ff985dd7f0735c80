"""The declaration of what a version will be judged by, before it is measured: rule, contrasts, range, frozen set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import PipelineError
from ...base.files import read_json
from .settings import Compare, JudgedMetric

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
    fixed = {name: as_text(value) for name, value in rule.model_dump(exclude={"metrics"}).items() if name not in WORDS}
    for metric in rule.metrics:
        for name in metric.contrasts or contrasts:
            metric.margin_of(name)  # a margin that is missing is said now, and not after the measuring
    judged = {f"metric {metric.name}": _metric(metric) for metric in rule.metrics}
    return {**fixed, **judged, "contrasts": ", ".join(contrasts), "range": range_name, "frozen": frozen}


def as_text(value: list[str] | str | float) -> str:
    """Return a value of the rule as text.

    >>> as_text(0.05), as_text(["sex", "age"]), as_text("")
    ('0.05', 'sex, age', '')
    """
    return value if isinstance(value, str) else ", ".join(value) if isinstance(value, list) else f"{value:g}"


def _metric(metric: JudgedMetric) -> str:
    margins = metric.margin_contrast_mm2
    each = (
        ", ".join(f"{name} ±{margin:g}" for name, margin in sorted(margins.items()))
        if isinstance(margins, Mapping)
        else f"each contrast ±{margins:g}"
    )
    of = "" if metric.contrasts is None else f", of {', '.join(metric.contrasts)}"
    return f"{metric.role}: pooled ±{metric.margin_pooled_mm2:g}, {each} mm2{of}"


def other_rule(candidate: Mapping[str, str], judge: Mapping[str, str]) -> list[str]:
    """Say item by item how the rule of a judge differs from the candidate's; empty where it is the same rule.

    Frozen set and range are compared apart from the rule, with marks of their own; the digest of what `cordrift power`
    found says how the rule was chosen, and is no part of it.

    >>> other_rule({"alpha": "0.1", "frozen": "b"}, {"alpha": "0.05", "frozen": "a"})
    ['alpha 0.05, here 0.1']

    Parameters
    ----------
    candidate, judge : what was declared for each, as :func:`items` gives it
    """
    names = sorted({*candidate, *judge} - {"frozen", "range", "power"})
    pairs = [(name, judge.get(name, "not declared"), candidate.get(name, "not declared")) for name in names]
    return [f"{name} {theirs}, here {ours}" for name, theirs, ours in pairs if theirs != ours]


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
