"""By what and by whom a version is judged, as MLflow remembers it.

The rule is recorded in the run of the version before its results, as params, which MLflow never changes. The judges are
fixed when the version is registered, so that a later promotion changes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..drift.rule.protocol import Protocol
from ..drift.versions.version import JUDGES, holder
from .bundle_files import version_identity
from .client import RegisteredVersion, Store

#: Prefix of the params that hold what was declared.
DECLARED = "declared."
WHEN, BEFORE = "when", "before_results"

#: Prefix of the tags that keep which versions judged.
JUDGED = "judged_"


def roles(versions: Iterable[RegisteredVersion], current: str) -> dict[str, list[str]]:
    """Return digest -> roles (sorted) of the versions that judge the bundle ``current``.

    Those that its version remembers; where it is not registered yet, those that have the aliases now.
    """
    known = list(versions)
    own = next((version for version in known if version.tags.get("digest") == current), None)
    found: dict[str, list[str]] = {}
    for role in sorted(JUDGES):
        if own is not None and JUDGED + role in own.tags:
            digest = own.tags[JUDGED + role]
        else:
            version = holder(role, known)
            digest = version.tags.get("digest", "") if version else ""
        if digest and digest != current:
            found.setdefault(digest, []).append(role)
    return found


def remembered(priors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags that keep which of the priors judged; empty where none had the role."""
    rows = list(priors)
    return {JUDGED + role: next((str(row["digest"]) for row in rows if role in row["aliases"]), "") for role in JUDGES}


def declare(store: Store, bundle: str, label: str, items: Mapping[str, str], now: str) -> Protocol:
    """Record the items in the run of the bundle, unless some are there: the first declaration stands."""
    run = store.ensure_run(version_identity(bundle), label)
    if not any(name.startswith(DECLARED) for name in run.params):
        # A run that a cordrift without declarations registered has its results already.
        early = {WHEN: now, BEFORE: "no" if run.metrics else "yes"}
        store.ensure_params(run, {DECLARED + name: value for name, value in {**items, **early}.items()})
    found = {name.removeprefix(DECLARED): text for name, text in run.params.items() if name.startswith(DECLARED)}
    when, before = found.pop(WHEN), found.pop(BEFORE)
    return Protocol(bundle, found, when, before == "yes")
