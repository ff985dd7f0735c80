"""The verdict on a candidate: judged against the champion and the anchor, the worse of both counts.

The champion is the version in use; the anchor is the last one that a person accepted with published conversion factors.
Against the champion alone five steps of half a margin would each pass, and together be more than a year of disease.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import pandas as pd

from ..record.record import CRITERIA, Decision, Drift, Judge, Quality
from ..versions.version import JUDGES
from .verdict import DRIFT, EQUIVALENT, INCONCLUSIVE, NOT_JUDGED, QUALITY, passes, said_p, worst

#: What a first version gets: there is no earlier version that it could have moved from.
FIRST_VERSION: Final = "first"
#: How many rows a list of reasons names; the table has them all.
SHOWN = 3


def decision(drift: Drift, quality: Quality, reasons: Sequence[str], judges: Sequence[Judge] = ()) -> Decision:
    """Return the verdict with what follows from it.

    It passes when the drift is equivalent and every criterion of quality is better or the same. A first version passes,
    as there is no earlier version to judge it, where it measures enough (:func:`unmeasured`).

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
        passed=drift == FIRST_VERSION or passes(drift, quality),
        reasons=list(reasons),
        margin_share=max(shares) if shares and all(map(math.isfinite, shares)) else math.nan,
        judges=list(judges),
    )


def unmeasured(csa: pd.DataFrame, contrasts: Sequence[str], min_contrasts: int) -> list[str]:
    """Say why a first version measures too little for later versions to be judged against it; empty where it is enough.

    It is enough when in at least ``min_contrasts`` of the contrasts (all, where there are fewer) half of the cases or
    more have an area. A model whose weights are broken finds no cord at all, and would else be the first champion.

    Parameters
    ----------
    csa : of the version, a row for each case: contrast, csa_mm2 (NaN where it failed or misses the cord)
    contrasts : those of the number that decides
    min_contrasts : see the settings of `compare`
    """
    counts = {name: csa.loc[csa["contrast"] == name, "csa_mm2"] for name in contrasts}
    enough = [name for name, values in counts.items() if values.count() and 2 * values.count() >= len(values)]
    wanted = min(min_contrasts, len(contrasts))
    if len(enough) >= wanted:
        return []
    told = ", ".join(f"{name} {values.count()} of {len(values)}" for name, values in counts.items())
    return [
        f"a first version must measure half of the cases or more in at least {wanted} contrast(s), and this one does "
        f"in {len(enough)} (measured: {told}): later versions would be judged against nothing"
    ]


def decide(
    judges: Sequence[Judge],
    *,
    priors: int,
    offline: bool,
    missing: Sequence[str] = (),
    doubts: Sequence[str] = (),
    blind: Sequence[str] = (),
) -> Decision:
    """Bring the judges' verdicts together.

    Parameters
    ----------
    judges : champion and anchor, once where one version is both
    priors : how many earlier versions there are at all
    offline : the history was not asked
    missing : what of the frozen set or of the history is missing, in sentences. Then the verdict is inconclusive,
        whatever the rest shows
    doubts : why nothing can be called equivalent by this rule, in sentences: it was changed, or declared late
    blind : why this version measures too little to be a first one, see :func:`unmeasured`
    """
    if offline:
        return decision(INCONCLUSIVE, NOT_JUDGED, [*missing, "history was offline: no earlier version was asked for"])
    if not priors:
        if missing or blind:
            return decision(INCONCLUSIVE, NOT_JUDGED, [*missing, *blind])
        return decision(
            FIRST_VERSION, FIRST_VERSION, ["the first version of its series: there is nothing to compare it with"]
        )
    roles = {role for judge in judges for role in judge.roles}
    absent = [role for role in JUDGES if role not in roles]
    if absent:
        doubts = [
            *doubts,
            f"none of {priors} earlier version(s) is {' or '.join(absent)}, and both of these have to judge; "
            "`cordrift promote DIGEST --reason ...` makes one version both",
        ]
    reasons = [*missing, *doubts, *(reason for judge in judges for reason in _reasons(judge))]
    quality = worst([judge.quality for judge in judges], QUALITY) if judges else NOT_JUDGED
    if missing or not judges:
        return decision(INCONCLUSIVE, quality, reasons, judges)
    drift = worst([judge.drift for judge in judges], DRIFT)
    return decision(worst([drift, INCONCLUSIVE], DRIFT) if doubts else drift, quality, reasons, judges)


def _reasons(judge: Judge) -> list[str]:
    """Say what decided: groups that moved apart, the worst rows, and the criteria that gave the quality its word."""
    name = f"{' and '.join(judge.roles)} {judge.label or judge.digest[:12]}"
    if judge.why:
        return [f"against {name}: cannot be judged. {judge.why}"]
    apart = [
        f"against {name}: the groups of {watched.attribute} moved differently ({said_p(watched.p)})"
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
        if row.verdict in {judge.quality, NOT_JUDGED}
    ]
    return [*apart, *moved, *out, *criteria]
