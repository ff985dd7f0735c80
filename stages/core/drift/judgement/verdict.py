"""The verdict on one pair of versions: did the measured CSA stay, and did the quality?

Drift, by two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419), pooled and in every contrast:

equivalent     the (1 - 2 alpha) interval of the mean paired difference lies inside the margin
drifted        not equivalent, and the (1 - alpha) interval excludes 0
inconclusive   the rest, and whenever fewer participants than the rule asks for were measured by both, or the new
               version has no value where the old one has, though its mask did not fail (failures are quality's)

The worst of all rows decides, so that contrasts that move apart are not averaged away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..rule.settings import Compare
from ..statistics.bias import PERSON, POOLED, person_means, t_interval

Floats = NDArray[np.float64]
EQUIVALENT, INCONCLUSIVE, DRIFTED = "equivalent", "inconclusive", "drifted"
#: From best to worst.
DRIFT = (EQUIVALENT, INCONCLUSIVE, DRIFTED)
BETTER, SAME, UNKNOWN, WORSE = "better", "same", "unknown", "worse"
QUALITY = (BETTER, SAME, UNKNOWN, WORSE)


@dataclass(frozen=True)
class DriftRow:
    """One contrast, or all pooled: n participants, bias (mm2) with both intervals, and what follows from them.

    ``smallest_margin_mm2`` is the margin from which on the row would have been equivalent.
    """

    contrast: str
    n: int
    bias_mm2: float
    inner_low_mm2: float
    inner_high_mm2: float
    outer_low_mm2: float
    outer_high_mm2: float
    smallest_margin_mm2: float
    verdict: str
    why: str


@dataclass(frozen=True)
class QualityRow:
    """One criterion, lower is better: its mean in both versions over n participants, new - old with its interval."""

    criterion: str
    n: int
    new: float
    old: float
    difference: float
    low: float
    high: float
    margin: float
    verdict: str
    why: str


def worst(verdicts: Sequence[str], order: Sequence[str]) -> str:
    """The worst of some verdicts; ``order`` is from best to worst."""
    return max(verdicts, key=order.index)


def judge_drift(pairs: pd.DataFrame, contrasts: Sequence[str], rule: Compare) -> list[DriftRow]:
    """Judge each contrast, then all pooled.

    Parameters
    ----------
    pairs : as :func:`stages.core.drift.statistics.bias.pair` gives them
    """
    rows = []
    for name in contrasts:
        mine = pairs[pairs["contrast"] == name]
        rows.append(_judge_row(name, person_means(mine, 1)["difference"], rule, int(mine["lost"].sum())))
    pooled = person_means(pairs[pairs["contrast"].isin(list(contrasts))], rule.min_contrasts)
    return [*rows, _judge_row(POOLED, pooled["difference"], rule)]


def _judge_row(name: str, differences: pd.Series[float], rule: Compare, lost: int = 0) -> DriftRow:
    values: Floats = np.asarray(differences, dtype=np.float64)
    n, margin = len(values), rule.margin_mm2
    inner, outer = t_interval(values, 2.0 * rule.alpha), t_interval(values, rule.alpha)
    needed = max(abs(inner[0]), abs(inner[1]))
    inside = bool(-margin < inner[0] and inner[1] < margin)  # False where an end is NaN
    away = bool(outer[0] > 0.0 or outer[1] < 0.0)
    level = f"{100 * (1 - 2 * rule.alpha):g} % interval {inner[0]:.2f} to {inner[1]:.2f} mm²"
    if n < 2:
        verdict, why = INCONCLUSIVE, f"{n} participant(s) measured by both versions give no interval"
    elif inside and n < rule.min_participants:
        verdict = INCONCLUSIVE
        why = (
            f"{level} lies inside ±{margin:g}, but n = {n} is fewer than the {rule.min_participants} that are asked for"
        )
    elif inside and lost:
        verdict = INCONCLUSIVE
        why = f"{level} lies inside ±{margin:g}, but {lost} case(s) that were measured before have no value now"
    elif inside:
        verdict = EQUIVALENT
        moved = f"; a small bias is there all the same (it differs from 0 at alpha {rule.alpha:g})" if away else ""
        why = f"{level} lies inside ±{margin:g}{moved}"
    elif away:
        verdict, why = DRIFTED, f"{level} leaves ±{margin:g}, and the bias differs from 0 at alpha {rule.alpha:g}"
    else:
        verdict, why = (
            INCONCLUSIVE,
            f"{level} leaves ±{margin:g}, but the bias does not differ from 0: too few or too noisy",
        )
    mean = float(values.mean()) if n else math.nan
    return DriftRow(name, n, mean, *inner, *outer, needed, verdict, why)


@dataclass(frozen=True)
class Scores:
    """What a version's quality is judged by.

    Attributes
    ----------
    csa_std_mm2 : SD over contrasts of each participant's CSA, by dataset and participant
    csa_error_mm2 : mean absolute difference of CSA to the reference of each participant, likewise
    failures, cases : how many masks could not be made, of how many
    """

    csa_std_mm2: pd.Series[float]
    csa_error_mm2: pd.Series[float]
    failures: int
    cases: int


def scores(csa_std: pd.DataFrame, agreement: pd.DataFrame, csa: pd.DataFrame) -> Scores:
    """Collect the scores of a version from its tables (one row a participant and session; a case; a case)."""
    return Scores(
        csa_std.groupby(PERSON)["csa_std_mm2"].mean(),
        agreement.groupby(PERSON)["csa_error_mm2"].mean(),
        int(csa["failed"].sum()),
        len(csa),
    )


def judge_quality(new: Scores, old: Scores, rule: Compare, seed_floor_mm2: float = 0.0) -> list[QualityRow]:
    """Judge CSA STD and absolute CSA error (neither may grow by the margin), and failures (none more).

    The margin is ``rule.csa_std_margin_mm2``, or what another seed moves where that is more.
    """
    margin = max(rule.csa_std_margin_mm2, seed_floor_mm2)
    rows = [
        _judge_criterion(name, getattr(new, name), getattr(old, name), margin, rule.alpha)
        for name in ("csa_std_mm2", "csa_error_mm2")
    ]
    more = new.failures - old.failures
    verdict = WORSE if more > 0 else BETTER if more < 0 else SAME
    why = f"{new.failures} of {new.cases} cases failed, {old.failures} of {old.cases} before"
    counted = QualityRow("failures", new.cases, new.failures, old.failures, more, math.nan, math.nan, 0.0, verdict, why)
    return [*rows, counted]


def _judge_criterion(
    name: str, new: pd.Series[float], old: pd.Series[float], margin: float, alpha: float
) -> QualityRow:
    both = pd.DataFrame({"new": new, "old": old}).dropna()
    difference = (both["new"] - both["old"]).to_numpy(dtype=np.float64)
    low, high = t_interval(difference, alpha)
    upper = t_interval(difference, 2.0 * alpha)[1]
    said = f"new - old {low:.2f} to {high:.2f} mm² ({100 * (1 - alpha):g} % interval)"
    if len(both) < 2:
        verdict, why = UNKNOWN, f"{len(both)} participant(s) with both values"
    elif high < 0.0:
        verdict, why = BETTER, f"{said}: smaller"
    elif upper < margin:
        verdict, why = SAME, f"{said}: at most {margin:g} mm² larger"
    elif low > 0.0:
        verdict, why = WORSE, f"{said}: larger, by {margin:g} mm² or more as far as can be told"
    else:
        # The burden of proof is on the new version: what is not shown to be as good counts as worse.
        verdict, why = WORSE, f"{said}: not shown to be less than {margin:g} mm² larger"
    before, after = (float(both[column].mean()) if len(both) else math.nan for column in ("old", "new"))
    return QualityRow(name, len(both), after, before, after - before, low, high, margin, verdict, why)
