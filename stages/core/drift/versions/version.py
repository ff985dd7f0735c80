"""A version of the model as the comparison sees it, which versions judge, and whether two may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import pandas as pd

#: Name of the ground truth in the place of a version's digest.
REFERENCE = "reference"
#: The version in use, and the last one that a person accepted with published conversion factors.
CHAMPION, ANCHOR = "champion", "anchor"
#: The versions that judge a candidate.
JUDGES = (CHAMPION, ANCHOR)


@dataclass(frozen=True)
class Series:
    """What names a series of measures. Frozen set, ruler and range must agree before one version judges another."""

    bundle: str
    inference: str
    ruler: str
    frozen: str
    range: str


@dataclass(frozen=True)
class MeasuredVersion:
    """One version with its tables.

    Attributes
    ----------
    label : how people call it; ``""`` for the candidate, which the report names
    aliases : names that it carries in MLflow, such as its roles
    measures, agreement : as the stage measure writes them
    lost : what of the frozen set was not delivered, shard -> why
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
    """Return why a prior is shown and judges nothing, a short mark -> the sentence; empty where it may judge."""
    found = {}
    if prior.frozen and prior.frozen != candidate.frozen:  # the frozen set of an imported version is not known
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


@dataclass(frozen=True)
class Prior:
    """A prior version.

    Attributes
    ----------
    version : None where its numbers cannot be set beside the candidate's
    declared : the rule by which it was declared, item -> text; None where that is not on record
    remeasured : whether its kept masks were measured again with today's ruler
    """

    series: Series
    label: str
    aliases: tuple[str, ...]
    version: MeasuredVersion | None
    declared: Mapping[str, str] | None = None
    remeasured: bool = False


def remark(candidate: Series, prior: Prior) -> str:
    """Say what else is to be known of two comparable versions, or return an empty string."""
    said = []
    if prior.series.inference != candidate.inference:
        said.append("Its inference settings differ from the candidate's.")
    if prior.remeasured:
        said.append("Its kept masks were measured again with today's ruler; what was published of it may differ.")
    return " ".join(said)


class Aliased(Protocol):
    """A version in any form that knows its aliases."""

    @property
    def aliases(self) -> Sequence[str]:
        """Names that a registered version carries, such as its roles."""


AnyVersion = TypeVar("AnyVersion", bound=Aliased)


def holder(role: str, versions: Iterable[AnyVersion]) -> AnyVersion | None:
    """Return the version that has a role; None where no version has it.

    An alias belongs to one version at a time, so that there is never a second one.
    """
    return next((version for version in versions if role in version.aliases), None)


def roles_of(version: Aliased) -> list[str]:
    """Return the roles in which a version judges, champion first; empty where it judges nothing."""
    return [role for role in JUDGES if role in version.aliases]
