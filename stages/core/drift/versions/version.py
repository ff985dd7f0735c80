"""A version of the model as the comparison sees it, and whether two versions may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

#: Name of the ground truth where a version's digest stands.
REFERENCE = "reference"


@dataclass(frozen=True)
class Series:
    """What must agree before two versions are compared: frozen set, ruler, range; and what only differs."""

    bundle: str
    inference: str
    ruler: str
    frozen: str
    range: str


@dataclass(frozen=True)
class MeasuredVersion:
    """One version with its tables ``measures`` and ``agreement`` (as the stage measure writes them).

    ``label`` is how people call it (``""`` for the candidate, which the report names), ``aliases`` its aliases,
    ``lost`` what of the frozen set was not delivered: shard -> why.
    """

    series: Series
    label: str
    aliases: tuple[str, ...]
    measures: pd.DataFrame
    agreement: pd.DataFrame
    lost: Mapping[str, str] = field(default_factory=dict)


def obstacle(candidate: Series, prior: Series) -> str:
    """Say why a prior's numbers cannot be set beside the candidate's at all, or return an empty string."""
    if prior.range != candidate.range:
        return f"It was measured at {prior.range}, here the range is {candidate.range}."
    return ""


def marks(candidate: Series, prior: Series) -> dict[str, str]:
    """Why a prior is shown but judges nothing: a short mark for its label -> the sentence; empty where it may judge."""
    found = {}
    if prior.frozen and prior.frozen != candidate.frozen:  # of an imported version it is not known
        found["other frozen set"] = (
            f"It was measured on another frozen set ({prior.frozen[:12]}, here {candidate.frozen[:12]}): "
            "other images or references; compared on the participants that both have."
        )
    if prior.ruler != candidate.ruler:
        found["other ruler"] = (
            f"It was measured with another ruler ({prior.ruler[:12]}, here {candidate.ruler[:12]}): "
            "a difference may be the ruler's."
        )
    return found


def remark(candidate: Series, prior: Series) -> str:
    """Say what else differs between two comparable versions, or return an empty string."""
    return "Its inference settings differ from the candidate's." if prior.inference != candidate.inference else ""


@dataclass(frozen=True)
class Prior:
    """A prior version: ``version`` is None where its numbers cannot be set beside the candidate's."""

    series: Series
    label: str
    aliases: tuple[str, ...]
    version: MeasuredVersion | None
