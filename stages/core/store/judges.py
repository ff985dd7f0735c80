"""The versions that judge a version, as MLflow records them.

The judges of a version are recorded when it is registered, so that a later promotion changes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..drift.versions.version import JUDGES, holder
from .client import RegisteredVersion

#: Prefix of the tags in which a version keeps the digests of its judges.
JUDGED = "judged_"


def judges_of(versions: Iterable[RegisteredVersion], current: str) -> dict[str, list[str]]:
    """Return digest -> sorted roles of the versions that judge the bundle with the digest ``current``.

    A registered version keeps its judges. For a bundle that is not registered yet, the present champion and anchor
    judge.
    """
    known = list(versions)
    own = next((version for version in known if version.tags.get("digest") == current), None)
    judges: dict[str, list[str]] = {}
    for role in sorted(JUDGES):
        if own is not None and JUDGED + role in own.tags:
            digest = own.tags[JUDGED + role]
        else:
            version = holder(role, known)
            digest = version.tags.get("digest", "") if version else ""
        if digest and digest != current:
            judges.setdefault(digest, []).append(role)
    return judges


def judge_tags(priors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the tags that record which prior version judged in each role; ``""`` where none did."""
    rows = list(priors)
    return {JUDGED + role: next((str(row["digest"]) for row in rows if role in row["aliases"]), "") for role in JUDGES}
