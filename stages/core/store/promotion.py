"""What a person decides about a version: its promotion to champion and anchor, or that it leaves the series.

Name, time and reason are recorded with the version. An improvement is a drift too, so the promotion also publishes the
factors by which users multiply the CSA of the replaced version, as far as these are sure enough.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import SettingsError, StoreError
from ..base.files import read_csv, read_json
from ..drift.conversion.publication import WITHHELD
from ..drift.statistics.bias import POOLED
from ..drift.versions.version import CHAMPION, JUDGES, holder
from .client import INDEX, LEAST_DIGITS, PROMOTIONS, RETIRED, TRIAL, RegisteredVersion, Store

#: Artifact with the factors of all metrics, and the tag with those of CSA that are sure enough to be published:
#: label -> contrast -> FACTOR_COLUMNS and n.
CONVERSION, PUBLISHED = "compare/conversion.csv", "conversion"
FACTOR_COLUMNS = (
    "factor", "ci_low", "ci_high", "line_intercept", "line_slope", "person_half_width", "old_low", "old_high",
)  # fmt: skip


@dataclass(frozen=True)
class Promoted:
    """The result of a promotion.

    Attributes
    ----------
    before : role -> number of the version that had the role before; None where no version had it
    factors : number of a replaced version -> contrast -> the published factor from its CSA to the CSA of the promoted
        version, with its confidence interval, line and n. A version without a pooled factor is left out.
    withheld : number of a replaced version -> contrast -> why its factor is not published
    """

    version: RegisteredVersion
    before: dict[str, int | None]
    factors: dict[int, dict[str, dict[str, float]]]
    withheld: dict[int, dict[str, str]]


def find_version(store: Store, named: str) -> RegisteredVersion:
    """Return the version with this label, or with a digest that begins with these six or more digits.

    Raises
    ------
    StoreError
        No version has this name, or several have it. The sentence lists all versions.
    """
    versions = [version for version in store.versions() if version.tags.get("digest")]
    found = [v for v in versions if v.tags["digest"] == named or v.tags.get("label") == named]
    found = [v for v in found if not v.left_out] or found  # the label of a retired version is free
    if not found and len(named) >= LEAST_DIGITS:
        found = [v for v in versions if v.tags["digest"].startswith(named)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{v.tags.get('label', '')} {v.tags['digest'][:12]} (version {v.number})" for v in versions)
    what = "no version" if not found else f"{len(found)} versions"
    raise StoreError(
        f"{what} of {store.model} in MLflow at {store.location.name} named {named!r}; there are: {known or 'none yet'}."
    )


def promote(store: Store, version: RegisteredVersion, *, reason: str, person: str, when: str) -> Promoted:
    """Make a version champion and anchor. A repeated promotion (same person and reason) is recorded once.

    Parameters
    ----------
    reason : what was looked at and why the drift is accepted; kept with the version
    person : name of the person who decides
    when : ISO time

    Raises
    ------
    SettingsError
        The reason is empty, or the version was imported, is a trial or was retired.
    """
    if version.left_out:
        raise SettingsError(
            f"{version.tags.get('label', '')} is {version.left_out}; nothing is judged against it. Set register.trial "
            "to false and run `dvc repro register` to make a trial a version; a retired one stays retired."
        )
    if version.tags.get("imported"):
        raise SettingsError(
            f"{version.tags.get('label', '')} was imported: others measured it with another ruler, so that nothing can "
            "be judged against it. Promote a version that cordrift measured."
        )
    if not reason.strip():
        raise SettingsError("a promotion needs a reason: what was looked at, and why the drift is accepted.")
    holders = {role: holder(role, store.versions()) for role in JUDGES}
    before = {role: version.number if version else None for role, version in holders.items()}
    replaced = {v.number: v for v in store.versions() if v.number in before.values() and v.number != version.number}
    factors, withheld = _factors(store, version, replaced)
    log = version.promotions
    if [(entry["who"], entry["why"]) for entry in log[-1:]] != [(person, reason)]:
        log.append({"who": person, "when": when, "why": reason, "champion_before": str(before[CHAMPION] or "")})
        # Write the reason before the alias: after an interruption there must be no promoted version without a reason.
        store.ensure_version_tags(version, {PROMOTIONS: json.dumps(log, ensure_ascii=False)})
    published = {replaced[number].tags.get("label", ""): found for number, found in factors.items() if found}
    if published:
        store.ensure_version_tags(version, {PUBLISHED: json.dumps(published, ensure_ascii=False)})
    for role in JUDGES:
        store.set_alias(role, version.number)
    if store.gaps():
        store.set_gaps([])  # a person has accepted a version with what there is
    candidate = next((v for v in store.versions() if "candidate" in v.aliases), None)
    if candidate is not None and candidate.number == version.number:
        store.drop_alias("candidate")
    return Promoted(version, before, factors, withheld)


def retire(store: Store, version: RegisteredVersion, *, reason: str, person: str, when: str) -> None:
    """Take a version out of the series: later reports do not show it, and its label is free. Its run stays in MLflow.

    Parameters
    ----------
    reason : why it is no version of the series, kept with it
    person : name of the person who decides
    when : ISO time

    Raises
    ------
    SettingsError
        The reason is empty, or the version is champion or anchor.
    """
    if not reason.strip():
        raise SettingsError("retiring a version needs a reason, which is kept with it.")
    held = [role for role in JUDGES if role in version.aliases]
    if held and version.tags.get(TRIAL) != "yes":
        raise SettingsError(
            f"version {version.number} ({version.tags.get('label', '')}) is {' and '.join(held)}: later versions are "
            "judged against it. Promote another version first (`cordrift promote DIGEST --reason ...`)."
        )
    store.ensure_version_tags(version, {RETIRED: f"{reason.strip()} ({person}, {when[:10]})"})
    for alias in version.aliases:
        store.drop_alias(alias)


def _factors(
    store: Store, version: RegisteredVersion, replaced: dict[int, RegisteredVersion]
) -> tuple[dict[int, dict[str, dict[str, float]]], dict[int, dict[str, str]]]:
    """Return the CSA factors from each replaced version to this one, from the comparison that this version's run holds.

    ``replaced`` is indexed by version number, and so is the result: the published factors, and why others are withheld.
    A comparison from before that was asked says nothing of it, and none of its factors is published.
    """
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, INDEX, Path(scratch) / INDEX)
        if CONVERSION not in read_json(Path(scratch) / INDEX, error=StoreError)["files"]:
            return {}, {}
        store.fetch(version.run_id, CONVERSION, Path(scratch) / "conversion.csv")
        table = read_csv(Path(scratch) / "conversion.csv", text=("prior", "metric", "contrast", WITHHELD))
    if WITHHELD not in table:
        table = table.assign(**{WITHHELD: "the comparison is older than the check of n and interval"})
    table = table[table["metric"] == "csa_mm2"]
    found, withheld = {}, {}
    for number, old in replaced.items():
        rows = table[table["prior"] == old.tags.get("digest", "")]
        if rows.loc[rows["contrast"] == POOLED, "factor"].notna().any():
            sure = rows[rows[WITHHELD] == ""]
            found[number] = {str(row["contrast"]): _published(row) for row in sure.to_dict("records")}
            rest = rows[rows[WITHHELD] != ""]
            withheld[number] = dict(zip(rest["contrast"].astype(str), rest[WITHHELD].astype(str), strict=True))
    return found, withheld


def _published(row: Mapping[Hashable, Any]) -> dict[str, float]:
    values = {name: round(float(row[name]), 6) for name in FACTOR_COLUMNS if math.isfinite(row[name])}
    return values | {"n": int(row["n"])}
