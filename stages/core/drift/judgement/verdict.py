"""The verdict on one pair of versions: did the measured CSA stay, and did the quality?

Drift, by two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419), pooled and in every contrast:

equivalent     the (1 - 2 alpha) interval of the mean paired difference lies inside the margin
drifted        not equivalent, and the (1 - alpha) interval excludes 0
inconclusive   all else. Also where fewer participants than the rule asks for were measured by both versions, and where
               the new version has no value for a case that the old one measured, though its mask did not fail (failures
               are a criterion of quality)

The worst of all rows decides, so that contrasts that move apart are not averaged away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..record.record import CRITERIA, Drift, DriftRow, Quality, QualityRow
from ..rule.settings import Compare
from ..statistics.bias import PERSON, POOLED, person_means, t_interval

Floats = NDArray[np.float64]
EQUIVALENT: Final = "equivalent"
INCONCLUSIVE: Final = "inconclusive"
DRIFTED: Final = "drifted"
#: From best to worst.
DRIFT: tuple[Drift, ...] = (EQUIVALENT, INCONCLUSIVE, DRIFTED)
BETTER: Final = "better"
SAME: Final = "same"
UNKNOWN: Final = "unknown"
WORSE: Final = "worse"
QUALITY: tuple[Quality, ...] = (BETTER, SAME, UNKNOWN, WORSE)
Word = TypeVar("Word", bound=str)


def worst(verdicts: Sequence[Word], order: Sequence[Word]) -> Word:
    """Return the worst of some verdicts; ``order`` is from best to worst.

    >>> worst(["equivalent", "drifted", "inconclusive"], DRIFT)
    'drifted'
    """
    return max(verdicts, key=order.index)


def judge_drift(pairs: pd.DataFrame, contrasts: Sequence[str], rule: Compare) -> list[DriftRow]:
    """Judge each contrast, then all pooled.

    Parameters
    ----------
    pairs : cases of both versions side by side, as ``pair`` in :mod:`..statistics.bias` gives them
    """
    rows = []
    for name in contrasts:
        of_contrast = pairs[pairs["contrast"] == name]
        lost = int(of_contrast["lost"].sum())
        rows.append(_judge_row(name, person_means(of_contrast, 1)["difference"], rule, lost))
    pooled = person_means(pairs[pairs["contrast"].isin(list(contrasts))], rule.min_contrasts)
    return [*rows, _judge_row(POOLED, pooled["difference"], rule)]


def _judge_row(name: str, differences: pd.Series[float], rule: Compare, lost: int = 0) -> DriftRow:
    values: Floats = np.asarray(differences, dtype=np.float64)
    n, margin = len(values), rule.margin_mm2
    inner, outer = t_interval(values, 2.0 * rule.alpha), t_interval(values, rule.alpha)
    inside = bool(-margin < inner[0] and inner[1] < margin)  # False where an end is NaN
    away = bool(outer[0] > 0.0 or outer[1] < 0.0)
    level = f"{100 * (1 - 2 * rule.alpha):g} % interval {inner[0]:.2f} to {inner[1]:.2f} mm²"
    verdict: Drift
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
        verdict = INCONCLUSIVE
        why = f"{level} leaves ±{margin:g}, but the bias does not differ from 0: too few or too noisy"
    return DriftRow(
        contrast=name,
        n=n,
        bias_mm2=float(values.mean()) if n else math.nan,
        inner_low_mm2=inner[0],
        inner_high_mm2=inner[1],
        outer_low_mm2=outer[0],
        outer_high_mm2=outer[1],
        smallest_margin_mm2=max(abs(inner[0]), abs(inner[1])),
        verdict=verdict,
        why=why,
    )


@dataclass(frozen=True)
class Scores:
    """The numbers by which a version's quality is judged.

    Attributes
    ----------
    csa_std_mm2 : SD over contrasts of each participant's CSA, by dataset and participant
    csa_error_mm2 : mean absolute difference of CSA to the reference of each participant, likewise
    failures, cases : how many masks are missing or empty, of how many
    """

    csa_std_mm2: pd.Series[float]
    csa_error_mm2: pd.Series[float]
    failures: int
    cases: int


def scores(csa_std: pd.DataFrame, agreement: pd.DataFrame, csa: pd.DataFrame) -> Scores:
    """Collect the scores of a version from its tables.

    Parameters
    ----------
    csa_std : CSA STD, one row per participant and session
    agreement : agreement.csv, one row per case
    csa : CSA at the range, one row per case, with column ``failed``
    """
    return Scores(
        csa_std.groupby(PERSON)["csa_std_mm2"].mean(),
        agreement.groupby(PERSON)["csa_error_mm2"].mean(),
        int(csa["failed"].sum()),
        len(csa),
    )


def judge_quality(new: Scores, old: Scores, rule: Compare, seed_floor_mm2: float = math.nan) -> list[QualityRow]:
    """Judge CSA STD and absolute CSA error (neither may grow by the margin), and failures (there may not be more).

    Parameters
    ----------
    new, old : of the candidate and of the version that judges it
    rule : ``csa_std_margin_mm2`` is the margin
    seed_floor_mm2 : what another seed moves, which is the margin where it is larger; NaN where it is not known
    """
    margin = max(rule.csa_std_margin_mm2, 0.0 if math.isnan(seed_floor_mm2) else seed_floor_mm2)
    rows = [_judge_criterion(name, getattr(new, name), getattr(old, name), margin, rule.alpha) for name in CRITERIA]
    more = new.failures - old.failures
    counted = QualityRow(
        criterion="failures",
        n=new.cases,
        new=new.failures,
        old=old.failures,
        difference=more,
        low=math.nan,
        high=math.nan,
        margin=0.0,
        verdict=WORSE if more > 0 else BETTER if more < 0 else SAME,
        why=f"{new.failures} of {new.cases} cases failed, {old.failures} of {old.cases} before",
    )
    return [*rows, counted]


def _judge_criterion(
    name: str, new: pd.Series[float], old: pd.Series[float], margin: float, alpha: float
) -> QualityRow:
    both = pd.DataFrame({"new": new, "old": old}).dropna()
    difference = (both["new"] - both["old"]).to_numpy(dtype=np.float64)
    low, high = t_interval(difference, alpha)
    # One-sided at alpha: the upper end of the 1 - 2 alpha interval.
    upper = t_interval(difference, 2.0 * alpha)[1]
    said = f"new - old {low:.2f} to {high:.2f} mm² ({100 * (1 - alpha):g} % interval)"
    verdict: Quality
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
    return QualityRow(
        criterion=name,
        n=len(both),
        new=after,
        old=before,
        difference=after - before,
        low=low,
        high=high,
        margin=margin,
        verdict=verdict,
        why=why,
    )
