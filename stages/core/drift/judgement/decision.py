"""The verdict on a candidate: judged against the champion and the anchor, the worse of both counts.

The champion is the version in use; the anchor is the last one that a person accepted with published conversion factors.
Against the champion alone five steps of half a margin would each pass, and together be more than a year of disease.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ..record.record import CRITERIA, Decision, Drift, Judge, Quality
from ..versions.version import JUDGES
from .verdict import DRIFT, EQUIVALENT, INCONCLUSIVE, QUALITY, UNKNOWN, passes, worst

#: What a first version gets: there is no earlier version that it could have moved from.
FIRST: Final = "first"
#: How many rows a list of reasons names; the table has them all.
SHOWN = 3


def decision(drift: Drift, quality: Quality, reasons: Sequence[str], judges: Sequence[Judge] = ()) -> Decision:
    """Return the verdict with what follows from it.

    It passes when the drift is equivalent and every criterion of quality is better or the same. A first version passes:
    there is no earlier version to judge it.

    Parameters
    ----------
    drift, quality : the verdict
    reasons : in sentences
    judges : the versions that judged; without any, no row has a margin
    """
    shares = [row.smallest_margin_mm2 / row.margin_mm2 for judge in judges for row in judge.rows]
    return Decision(
        drift=drift,
        quality=quality,
        passed=drift == FIRST or passes(drift, quality),
        reasons=list(reasons),
        margin_share=max(shares) if shares and all(map(math.isfinite, shares)) else math.nan,
        judges=list(judges),
    )


def decide(judges: Sequence[Judge], *, priors: int, offline: bool, doubts: Sequence[str] = ()) -> Decision:
    """Bring the judges' verdicts together.

    Parameters
    ----------
    judges : champion and anchor, once where one version is both
    priors : how many earlier versions there are at all
    offline : the history was not asked
    doubts : why nothing can be called equivalent whatever the judges say, in sentences: a rule that was changed or
        declared late, a part of the frozen set or of the history that is missing
    """
    if offline:
        return decision(
            INCONCLUSIVE, UNKNOWN, [*doubts, "history was offline: no earlier version was asked for"], judges
        )
    if not priors:
        if doubts:
            return decision(INCONCLUSIVE, UNKNOWN, doubts)
        return decision(FIRST, FIRST, ["the first version of its series: there is nothing to compare it with"])
    reasons = [reason for judge in judges for reason in _reasons(judge)]
    roles = {role for judge in judges for role in judge.roles}
    absent = [role for role in JUDGES if role not in roles]
    if absent:
        doubts = [
            *doubts,
            f"none of {priors} earlier version(s) is {' or '.join(absent)}, and both champion and anchor have to judge; "
            "`cordrift promote DIGEST --reason ...` names one version as both",
        ]
    drift = worst([*(judge.drift for judge in judges), *([INCONCLUSIVE] if doubts or not judges else [])], DRIFT)
    quality = worst([judge.quality for judge in judges], QUALITY) if judges else UNKNOWN
    return decision(drift, quality, [*doubts, *reasons], judges)


def _reasons(judge: Judge) -> list[str]:
    """Say what decided: the worst rows of drift, groups that moved apart, and criteria that gave the quality its word."""
    name = f"{' and '.join(judge.roles)} {judge.label or judge.digest[:12]}"
    if judge.why:
        return [f"against {name}: cannot be judged. {judge.why}"]
    apart = [
        f"against {name}: the groups of {watched.attribute} moved differently (p = {watched.p:.2g})"
        for watched in judge.watched
        if watched.differs
    ]
    moved = [
        f"against {name}: {watched.attribute} {group} by itself moved by a year of disease or more"
        for watched in judge.watched
        for group in watched.moved
    ]
    deciding = [row for row in judge.rows if row.verdict == judge.drift]
    # Worst first. Where all rows are equivalent, the one that came nearest to its margin stands for the others.
    shares = {id(row): row.smallest_margin_mm2 / row.margin_mm2 for row in deciding}
    deciding.sort(key=lambda row: math.inf if math.isnan(shares[id(row)]) else shares[id(row)], reverse=True)
    shown = deciding[: 1 if judge.drift == EQUIVALENT else SHOWN]
    out = [f"against {name}, {row.contrast}: {row.verdict}. {row.why}" for row in shown]
    if judge.drift != EQUIVALENT and len(deciding) > len(shown):
        more = len(deciding) - len(shown)
        out.append(f"against {name}: {more} more {'row is' if more == 1 else 'rows are'} {judge.drift}")
    criteria = [
        f"against {name}, {CRITERIA.get(row.criterion, row.criterion)}: {row.verdict}. {row.why}"
        for row in judge.criteria
        if row.verdict == judge.quality
    ]
    return [*apart, *moved, *out, *criteria]
