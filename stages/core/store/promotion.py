"""A person accepts a version: it becomes champion and anchor; who, when and why are kept with it, and the factors.

An improvement is a drift too: users of the version before multiply its CSA by the factors that are published here.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import CordriftError
from ..base.files import read_csv, read_json
from ..drift.statistics.bias import POOLED
from ..drift.versions.version import CHAMPION, JUDGES, holder
from .client import INDEX, RegisteredVersion, Store

#: Tag with the promotions of a version, oldest first, as JSON.
PROMOTIONS = "promotions"
#: Artifact with the factors of every metric, and the tag that publishes those of CSA: label -> contrast -> FACTOR.
CONVERSION, PUBLISHED = "compare/conversion.csv", "conversion"
FACTOR = ("factor", "ci_low", "ci_high")
#: Fewest digits of a digest that name a version.
FEWEST = 6


@dataclass(frozen=True)
class Promoted:
    """What a promotion did.

    Attributes
    ----------
    before : number of the version that had each role before; None where nobody had
    factors : by the number of such a version, its CSA factors to the new one by contrast; none where none are known
    """

    version: RegisteredVersion
    before: dict[str, int | None]
    factors: dict[int, dict[str, dict[str, float]]]


def find_version(store: Store, named: str) -> RegisteredVersion:
    """Find a version by its digest (six digits or more) or its label.

    Raises
    ------
    CordriftError
        None, or several; names those that there are.
    """
    versions = [version for version in store.versions() if version.tags.get("digest")]
    found = [v for v in versions if v.tags["digest"] == named or v.tags.get("label") == named]
    if not found and len(named) >= FEWEST:
        found = [v for v in versions if v.tags["digest"].startswith(named)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{v.tags.get('label', '')} {v.tags['digest'][:12]} (version {v.number})" for v in versions)
    what = "no version" if not found else f"{len(found)} versions"
    raise CordriftError(
        f"{what} of {store.model} in MLflow at {store.location.name} named {named!r}; there are: {known}."
    )


def promote(store: Store, version: RegisteredVersion, *, reason: str, person: str, when: str) -> Promoted:
    """Make a version champion and anchor. The same promotion twice (same person and reason) is kept once.

    Raises
    ------
    CordriftError
        No reason, or a version that was imported.
    """
    if version.tags.get("imported"):
        raise CordriftError(
            f"{version.tags.get('label', '')} was imported: others measured it with another ruler, so that nothing can "
            "be judged against it. Promote a version that cordrift measured."
        )
    if not reason.strip():
        raise CordriftError("a promotion needs a reason: what was looked at, and why the drift is accepted.")
    holders = {role: holder(role, store.versions()) for role in JUDGES}
    before = {role: version.number if version else None for role, version in holders.items()}
    replaced = {v.number: v for v in store.versions() if v.number in before.values() and v.number != version.number}
    factors = _factors(store, version, replaced)
    log = promotions(version)
    if [(entry["who"], entry["why"]) for entry in log[-1:]] != [(person, reason)]:
        log.append({"who": person, "when": when, "why": reason, "champion_before": str(before[CHAMPION] or "")})
        # The reason first: an alias without one would be a version that nobody accepted.
        store.ensure_version_tags(version, {PROMOTIONS: json.dumps(log, ensure_ascii=False)})
    if factors:
        named = {replaced[number].tags.get("label", ""): found for number, found in factors.items()}
        store.ensure_version_tags(version, {PUBLISHED: json.dumps(named, ensure_ascii=False)})
    for role in JUDGES:
        store.set_alias(role, version.number)
    candidate = next((v for v in store.versions() if "candidate" in v.aliases), None)
    if candidate is not None and candidate.number == version.number:
        store.drop_alias("candidate")
    return Promoted(version, before, factors)


def _factors(
    store: Store, version: RegisteredVersion, replaced: dict[int, RegisteredVersion]
) -> dict[int, dict[str, dict[str, float]]]:
    """CSA factors from each of the replaced versions to this one, as its own comparison found them."""
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, INDEX, Path(scratch) / INDEX)
        if CONVERSION not in read_json(Path(scratch) / INDEX)["files"]:
            return {}
        store.fetch(version.run_id, CONVERSION, Path(scratch) / "conversion.csv")
        table = read_csv(Path(scratch) / "conversion.csv", text=("prior", "metric", "contrast"))
    table = table[table["metric"] == "csa_mm2"]
    found = {}
    for number, old in replaced.items():
        rows = table[table["prior"] == old.tags.get("digest", "")]
        values = {
            str(row["contrast"]): {name: round(float(row[name]), 6) for name in FACTOR if math.isfinite(row[name])}
            | {"n": int(row["n"])}
            for _, row in rows.iterrows()
        }
        if "factor" in values.get(POOLED, {}):
            found[number] = values
    return found


def promotions(version: RegisteredVersion) -> list[dict[str, str]]:
    """The promotions that a version carries."""
    log: list[dict[str, str]] = json.loads(version.tags.get(PROMOTIONS, "[]"))
    return log
