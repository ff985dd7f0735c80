"""The roles of the versions that judge: who has one is said by the aliases of a version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

#: The version in use, and the last one that a person accepted with published conversion factors.
CHAMPION, ANCHOR = "champion", "anchor"
#: The versions that judge a candidate.
JUDGES = (CHAMPION, ANCHOR)


class Aliased(Protocol):
    """A version in any form that knows its aliases."""

    @property
    def aliases(self) -> Sequence[str]:
        """Names that a registered version carries, such as its roles."""


Version = TypeVar("Version", bound=Aliased)


def holder(role: str, versions: Iterable[Version]) -> Version | None:
    """Return the version that has a role; None where no version has it.

    An alias belongs to one version at a time, so that there is never a second one.
    """
    return next((version for version in versions if role in version.aliases), None)


def roles_of(version: Aliased) -> list[str]:
    """Return the roles in which a version judges, champion first; empty where it judges nothing."""
    return [role for role in JUDGES if role in version.aliases]
