"""Which versions judged a candidate: fixed when it is registered, so that a later promotion changes no verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .client import Version

#: Aliases of the versions that judge, and the prefix of the tags that keep who they were.
ROLES = ("champion", "anchor")
PREFIX = "judged_"


def roles(versions: Iterable[Version], current: str) -> dict[str, list[str]]:
    """Return digest -> roles (sorted) of the versions that judge the bundle ``current``.

    Those that its version remembers; where it is not registered yet, those that have the aliases now.
    """
    known = list(versions)
    own = next((version for version in known if version.tags.get("digest") == current), None)
    found: dict[str, list[str]] = {}
    for role in sorted(ROLES):
        if own is not None and PREFIX + role in own.tags:
            digest = own.tags[PREFIX + role]
        else:
            digest = next((v.tags.get("digest", "") for v in known if role in v.aliases), "")
        if digest and digest != current:
            found.setdefault(digest, []).append(role)
    return found


def remembered(priors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags that keep which of the priors judged; empty where none had the role."""
    rows = list(priors)
    return {PREFIX + role: next((str(row["digest"]) for row in rows if role in row["aliases"]), "") for role in ROLES}
