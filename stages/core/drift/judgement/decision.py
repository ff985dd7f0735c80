"""The verdict on a candidate: judged against the champion and the anchor, the worse of both counts.

The champion is the version in use; the anchor is the last one that a person accepted with published conversion factors.
Against the champion alone five steps of half a margin would each pass, and together be more than a year of disease.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from ..record.record import CRITERIA, Decision, Drift, DriftRow, Judge, Quality, QualityRow, missing_shards
from ..versions.version import JUDGES
from .verdict import BETTER, DRIFT, EQUIVALENT, INCONCLUSIVE, QUALITY, SAME, UNKNOWN, WORSE, worst

#: What a first version gets: there is no earlier version that it could have moved from.
FIRST: Final = "first"
#: How many rows a list of reasons names; the table has them all.
SHOWN = 3


def judge_of(
    digest: str,
    label: str,
    roles: Sequence[str],
    rows: Sequence[DriftRow] = (),
    criteria: Sequence[QualityRow] = (),
    why: str = "",
) -> Judge:
    """Return what one earlier version says of the candidate: the worst of its rows, and one word for its criteria.

    Parameters
    ----------
    digest, label : of the earlier version
    roles : in which it judges
    rows, criteria : as :mod:`.verdict` judged them; none where the versions cannot be compared
    why : the reason for that, in a sentence
    """
    drift: Drift = worst([row.verdict for row in rows], DRIFT) if rows else INCONCLUSIVE
    return Judge(
        digest=digest,
        label=label,
        roles=list(roles),
        drift=drift,
        quality=_quality([row.verdict for row in criteria]),
        why=why,
        rows=list(rows),
        criteria=list(criteria),
    )


def _quality(verdicts: Sequence[Quality]) -> Quality:
    """Better when a criterion is better and none is worse; worse, or unknown, when one is."""
    if not verdicts:
        return UNKNOWN
    bad = worst(verdicts, QUALITY)
    return bad if bad in {UNKNOWN, WORSE} else min(verdicts, key=QUALITY.index)


def decision(drift: Drift, quality: Quality, reasons: Sequence[str], judges: Sequence[Judge] = ()) -> Decision:
    """Return the verdict with what follows from it.

    It passes when the drift is equivalent and the quality is not worse. A first version passes: there is no earlier
    version to judge it. The smallest margin is the largest margin that any row needs.

    Parameters
    ----------
    drift, quality : the verdict
    reasons : in sentences
    judges : the versions that judged; without any, the smallest margin is NaN
    """
    needed = [row.smallest_margin_mm2 for judge in judges for row in judge.rows]
    return Decision(
        drift=drift,
        quality=quality,
        passed=drift == FIRST or (drift == EQUIVALENT and quality in {BETTER, SAME}),
        reasons=list(reasons),
        smallest_margin_mm2=max(needed) if needed and all(map(math.isfinite, needed)) else math.nan,
        judges=list(judges),
    )


def decide(
    judges: Sequence[Judge],
    *,
    priors: int,
    offline: bool,
    changed: Sequence[str] = (),
    lost: Mapping[str, str] | None = None,
) -> Decision:
    """Bring the judges' verdicts together.

    Parameters
    ----------
    judges : champion and anchor, once where one version is both
    priors : how many earlier versions there are at all
    offline : the history was not asked
    changed : what of the rule or the frozen set is no longer as it was declared before the results. Then the candidate
        is not called equivalent, since a margin could have been chosen after the results were known
    lost : what of the frozen set was not delivered, shard -> why. Then the verdict is inconclusive, whatever the rest
        of the set shows
    """
    decided = _decide(judges, priors, offline=offline, changed=changed)
    if not lost:
        return decided
    quality = UNKNOWN if decided.quality == FIRST else decided.quality
    reasons = [] if decided.drift == FIRST else decided.reasons
    return decision(INCONCLUSIVE, quality, [*missing_shards(lost), *reasons], decided.judges)


def _decide(judges: Sequence[Judge], priors: int, *, offline: bool, changed: Sequence[str]) -> Decision:
    if offline:
        return decision(INCONCLUSIVE, UNKNOWN, ["history was offline: no earlier version was asked for"])
    if not priors:
        return decision(FIRST, FIRST, ["the first version of its series: there is nothing to compare it with"])
    if not judges:
        why = f"none of {priors} earlier version(s) is {' or '.join(JUDGES)}; `cordrift promote` names one"
        return decision(INCONCLUSIVE, UNKNOWN, [why])
    reasons = [reason for judge in judges for reason in _reasons(judge)]
    drift = worst([judge.drift for judge in judges], DRIFT)
    if changed:
        drift = worst([drift, INCONCLUSIVE], DRIFT)
        reasons.insert(0, f"changed after it was declared: {', '.join(changed)}; nothing is called equivalent then")
    return decision(drift, worst([judge.quality for judge in judges], QUALITY), reasons, judges)


def _reasons(judge: Judge) -> list[str]:
    """Say what decided: the worst rows of drift, and the criteria that gave the quality its word."""
    name = f"{' and '.join(judge.roles)} {judge.label or judge.digest[:12]}"
    if judge.why:
        return [f"against {name}: cannot be judged. {judge.why}"]
    deciding = [row for row in judge.rows if row.verdict == judge.drift]
    # Worst first. Where all rows are equivalent, the one that came nearest to the margin stands for the others.
    deciding.sort(key=lambda row: math.inf if math.isnan(row.smallest_margin_mm2) else row.smallest_margin_mm2)
    shown = deciding[::-1][: 1 if judge.drift == EQUIVALENT else SHOWN]
    out = [f"against {name}, {row.contrast}: {row.verdict}. {row.why}" for row in shown]
    if judge.drift != EQUIVALENT and len(deciding) > len(shown):
        more = len(deciding) - len(shown)
        out.append(f"against {name}: {more} more {'row is' if more == 1 else 'rows are'} {judge.drift}")
    return out + [
        f"against {name}, {CRITERIA.get(row.criterion, row.criterion)}: {row.verdict}. {row.why}"
        for row in judge.criteria
        if row.verdict == judge.quality
    ]
