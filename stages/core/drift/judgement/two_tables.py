"""The comparison of two tables of measures, with the statistics of the drift report and without a workspace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ...base.errors import ReleaseError
from ...measures.published.any_table import OURS, PLAUSIBLE_MM2, AnyTable
from ...measures.published.release_table import CONTRASTS
from ...tables.monitored import CASE
from ..rule.settings import Compare
from ..versions.version import JUDGES, MeasuredVersion, Prior, Series
from .comparison import Comparison, compare


@dataclass(frozen=True)
class TwoTables:
    """The comparison, the rule that it was made by, and what to know of the tables, in sentences."""

    comparison: Comparison
    rule: Compare
    remarks: list[str]


def compare_tables(old: AnyTable, new: AnyTable, levels: str, rule: Compare, people: pd.DataFrame | None) -> TwoTables:
    """Compare two tables; the old one stands for champion and anchor.

    Parameters
    ----------
    old, new : as :func:`..measures.published.any_table.read_any` gives them
    levels : the range, such as C2-C3
    rule : its margins, alpha and least numbers; contrasts and range are those of the tables
    people : columns dataset, participant, site and the watched attributes; None where they are not known

    Raises
    ------
    ReleaseError
        No case stands in both tables.
    """
    contrasts, remarks = _contrasts(old, new)
    primary = rule.primary.model_copy(update={"range": levels, "contrasts": None})
    few = min(rule.min_contrasts, len(contrasts))
    if few < rule.min_contrasts:
        remarks.append(f"participants are pooled over {len(contrasts)} contrast(s), all that both tables have")
    watched = rule.watched if people is not None else []
    own = rule.model_copy(update={"metrics": [primary], "min_contrasts": few, "watched": watched})
    if people is None:
        remarks.append("sites are not known: participants count as independent (--participants names their table)")
    if old.digest == new.digest:
        remarks.append("both tables hold the same files")
        new = replace(new, digest=f"{new.digest}-again")  # two versions are told apart by their digests
    if old.rulers != new.rulers or old.layout != new.layout:
        remarks.append(f"the rulers differ ({_ruler(old)}; {_ruler(new)}), so that a difference may be the ruler's")
    if old.layout != new.layout:
        old, new = _without_slices(old), _without_slices(new)
        remarks.append("areas are means over each table's own slices, since two programs number slices differently")
    for which, table in (("old", old), ("new", new)):
        if table.repeated:
            remarks.append(f"{table.repeated} row(s) of the {which} table repeat an earlier row and count once")
        if table.implausible:
            low, high = PLAUSIBLE_MM2
            remarks.append(
                f"{table.implausible} area(s) of the {which} table are not between {low:g} and {high:g} mm2; they are "
                "no measurement of a cord and count as missing"
            )
    before, after = (version_of(table, levels) for table in (old, new))
    prior = Prior(before.series, old.name, JUDGES, before)
    found = compare(after, [prior], contrasts=contrasts, rule=own, offline=False, people=people)
    return TwoTables(found, own, remarks)


def _contrasts(old: AnyTable, new: AnyTable) -> tuple[list[str], list[str]]:
    """Return the contrasts of both tables, and a sentence for cases and contrasts that only one of them has."""
    sides = [_cases(table) for table in (old, new)]
    both = sides[0] & sides[1]
    if not both:
        shown = [" ".join(filter(None, sorted(side)[0])) if side else "none" for side in sides]
        raise ReleaseError(
            f"no case stands in both {old.name} and {new.name}: they begin with {shown[0]} and {shown[1]}; expected "
            "the same participants and contrasts."
        )
    contrasts = {case[3] for case in both}
    remarks = []
    for which, side in zip(("old", "new"), sides, strict=True):
        alone = sorted({case[3] for case in side} - contrasts)
        if alone:
            remarks.append(f"only the {which} table has {', '.join(alone)}, which is left out")
        lone = sum(case[3] in contrasts for case in side - both)
        if lone:
            remarks.append(f"{lone} case(s) stand in the {which} table alone and count as missing in the other")
    return in_order(contrasts), remarks


def in_order(contrasts: Iterable[str]) -> list[str]:
    """Return contrasts in the order of the literature's frozen set, others after them by name.

    >>> in_order({"T2w", "PSIR", "T1w"})
    ['T1w', 'T2w', 'PSIR']
    """
    place = {name: k for k, name in enumerate(CONTRASTS)}
    return sorted(contrasts, key=lambda name: (place.get(name, len(CONTRASTS)), name))


def _cases(table: AnyTable) -> set[tuple[str, ...]]:
    rows = table.measures[(table.measures["scope"] == "range") & (table.measures["source"] == "prediction")]
    return set(rows[CASE].itertuples(index=False, name=None))


def _ruler(table: AnyTable) -> str:
    names: Sequence[str] = [name[:12] if table.layout == OURS else name for name in table.rulers if name]
    return f"{table.layout} {', '.join(names)}".strip()


def _without_slices(table: AnyTable) -> AnyTable:
    rows = table.measures
    return replace(table, measures=rows[rows["scope"] == "range"].reset_index(drop=True))


def version_of(table: AnyTable, levels: str) -> MeasuredVersion:
    """Return a table as a version that was measured at a range of levels."""
    # The user chose these two tables: another ruler is a remark here, and hides no verdict.
    series = Series(bundle=table.digest, inference="", ruler="tables", frozen="tables", range=levels)
    return MeasuredVersion(series, table.name, (), table.measures, table.agreement)
