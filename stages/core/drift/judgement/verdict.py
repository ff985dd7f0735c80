"""The verdict on one candidate beside its judges, from evidence alone; docs/drift.md defines the rule.

First each judge's rows and criteria are computed as numbers. Then all of them get their words together, because
"drifted" and "worse" are adjusted for the number of rows of all judges (Holm 1979, Scand J Stat 6:65). "All rows inside
their margins" needs no adjustment: it is an intersection-union test (Berger 1982, doi:10.1080/00401706.1982.10487790).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from scipy import stats

from ..record.record import Drift, Quality
from ..rule.settings import Compare, JudgedMetric
from ..statistics.bias import POOLED
from ..statistics.clustered import Floats, Mean, clustered_mean, skewness
from ..statistics.heterogeneity import spread_of_groups
from ..statistics.multiplicity import holm
from .evidence import Differences, Evidence, Failed, People

EQUIVALENT: Final = "equivalent"
INCONCLUSIVE: Final = "inconclusive"
DRIFTED: Final = "drifted"
#: From best to worst.
DRIFT: tuple[Drift, ...] = (EQUIVALENT, INCONCLUSIVE, DRIFTED)
BETTER: Final = "better"
SAME: Final = "same"
NOT_SHOWN: Final = "not shown"
NOT_JUDGED: Final = "unknown"
WORSE: Final = "worse"
QUALITY: tuple[Quality, ...] = (BETTER, SAME, NOT_JUDGED, NOT_SHOWN, WORSE)
Word = TypeVar("Word", bound=str)


def worst(verdicts: Sequence[Word], order: Sequence[Word]) -> Word:
    """Return the worst of some verdicts; ``order`` is from best to worst.

    >>> worst(["equivalent", "drifted", "inconclusive"], DRIFT)
    'drifted'
    """
    return max(verdicts, key=order.index)


def said_p(p: float) -> str:
    """Write a p value into a sentence.

    >>> said_p(0.0214), said_p(6.9e-11)
    ('p = 0.021', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


@dataclass(frozen=True)
class RowNumbers:
    """One row of drift: a contrast, or all pooled.

    Attributes
    ----------
    mean : of the paired differences, with its errors
    missing, cases : cases that do not enter the row, of how many
    need_mm2 : the smallest margin that the row lies inside; NaN where it has no interval
    margin_mm2 : the declared margin
    old_mm2 : mean of the old version over the same participants
    dropped : participants who do not enter
    """

    contrast: str
    mean: Mean
    skewness: float
    missing: int
    cases: int
    need_mm2: float
    margin_mm2: float
    old_mm2: float
    dropped: int

    @property
    def inside(self) -> bool:
        """Whether the row lies inside its margin; False where it has no interval."""
        return bool(self.need_mm2 < self.margin_mm2)


@dataclass(frozen=True)
class CriterionNumbers:
    """One criterion of quality: new - old over participants with both values, and its margin."""

    name: str
    mean: Mean
    new: float
    old: float
    margin: float
    p_grown: float

    def upper(self, alpha: float) -> float:
        """Return the one-sided (1 - alpha) upper bound of new - old."""
        return self.mean.mean + self.mean.half_width(alpha)


@dataclass(frozen=True)
class JudgeNumbers:
    """All that one judge's verdict follows from; ``group_p`` is NaN for an attribute whose test cannot be made."""

    rows: tuple[RowNumbers, ...]
    criteria: tuple[CriterionNumbers, ...]
    failed: Failed
    group_p: Mapping[str, float]


@dataclass(frozen=True)
class Words:
    """The words that follow from the numbers of all judges, in their order; ``p_*`` are adjusted by Holm."""

    rows: tuple[tuple[Drift, ...], ...]
    p_rows: tuple[tuple[float, ...], ...]
    criteria: tuple[tuple[Quality, ...], ...]
    p_criteria: tuple[tuple[float, ...], ...]
    failures: tuple[Quality, ...]
    p_groups: tuple[Mapping[str, float], ...]
    drift: tuple[Drift, ...]
    quality: tuple[Quality, ...]


def judge_numbers(evidence: Evidence, rule: Compare) -> JudgeNumbers:
    """Compute the rows, criteria, failures and group tests of one judge."""
    people, primary = evidence.people, rule.primary
    found = evidence.metrics[primary.name]
    margins = criterion_margins(rule)
    return JudgeNumbers(
        drift_rows(found, people, primary, rule),
        tuple(_criterion(name, values, people, margins[name], rule) for name, values in evidence.criteria.items()),
        evidence.failed,
        _group_tests(found, people, rule),
    )


def criterion_margins(rule: Compare) -> dict[str, float]:
    """Return criterion -> by how much it may grow."""
    return {
        "csa_std_mm2": rule.csa_std_margin_mm2,
        "csa_error_mm2": rule.csa_error_margin_mm2,
        "uncovered": rule.uncovered_margin,
    }


def drift_rows(found: Differences, people: People, metric: JudgedMetric, rule: Compare) -> tuple[RowNumbers, ...]:
    """Compute a row for each contrast of a number, then the pooled one.

    Parameters
    ----------
    found : differences of the number
    people : of its rows
    metric : its margins, and the contrasts that have a row
    rule : alpha, bound of missing cases, least contrasts and sites
    """
    columns = [k for k, name in enumerate(found.contrasts) if metric.contrasts is None or name in metric.contrasts]
    rows = []
    for k in columns:
        margin, entered = metric.margin_of(found.contrasts[k]), found.entered[:, k]
        cases = found.cases[:, k]
        rows.append(_row(found.contrasts[k], found.value[:, k], found.old[:, k], entered, cases, margin, people, rule))
    value = found.value[:, columns]
    enough = np.isfinite(value).sum(axis=1) >= rule.min_contrasts
    entered = np.where(enough, found.entered[:, columns].sum(axis=1), 0)
    means, old = (np.where(enough, _row_means(table), np.nan) for table in (value, found.old[:, columns]))
    cases = found.cases[:, columns].sum(axis=1)
    return (*rows, _row(POOLED, means, old, entered, cases, metric.margin_pooled_mm2, people, rule))


def _row_means(table: Floats) -> Floats:
    """Mean of the defined values of each row; NaN where there is none."""
    n = np.isfinite(table).sum(axis=1)
    means: Floats = np.where(n > 0, np.nansum(table, axis=1) / np.maximum(n, 1), np.nan)
    return means


def _row(
    name: str,
    values: Floats,
    old: Floats,
    entered: np.ndarray,
    cases: np.ndarray,
    margin: float,
    people: People,
    rule: Compare,
) -> RowNumbers:
    known = np.isfinite(values)
    mean = clustered_mean(values[known], people.site[known], rule.min_sites)
    total = int(cases.sum())
    missing = total - int(entered.sum())
    share = missing / total if total else 0.0
    half = mean.half_width(rule.alpha)
    need = (1.0 - share) * (abs(mean.mean) + half) + share * rule.missing_bound_mm2
    return RowNumbers(
        contrast=name,
        mean=mean,
        skewness=skewness(values[known]),
        missing=missing,
        cases=total,
        need_mm2=need,
        margin_mm2=margin,
        old_mm2=float(old[known].mean()) if known.any() else math.nan,
        dropped=int((cases > 0).sum()) - int(known.sum()),
    )


def _criterion(name: str, values: Floats, people: People, margin: float, rule: Compare) -> CriterionNumbers:
    known = np.isfinite(values).all(axis=1)
    new, old = values[known, 0], values[known, 1]
    mean = clustered_mean(new - old, people.site[known], rule.min_sites)
    empty = not known.any()
    return CriterionNumbers(
        name,
        mean,
        math.nan if empty else float(new.mean()),
        math.nan if empty else float(old.mean()),
        margin,
        mean.p_above(),
    )


def person_values(found: Differences, rule: Compare) -> Floats:
    """Return the mean difference of each participant over the contrasts (mm2); NaN below ``min_contrasts`` of them."""
    enough = np.isfinite(found.value).sum(axis=1) >= rule.min_contrasts
    values: Floats = np.where(enough, _row_means(found.value), np.nan)
    return values


def _group_tests(found: Differences, people: People, rule: Compare) -> dict[str, float]:
    values = person_values(found, rule)
    known = np.isfinite(values)
    tests: dict[str, float] = {}
    for attribute in rule.watched:
        spread = spread_of_groups(values[known], people.site[known], people.groups[attribute][known])
        tests[attribute] = spread.p if spread else math.nan
    return tests


def words(judges: Sequence[JudgeNumbers], rule: Compare) -> Words:
    """Give every row, criterion and judge its word.

    A row is equivalent by its own numbers. "Drifted" asks for a row outside its margin whose p, adjusted over all rows
    of all judges, is below alpha; "worse" likewise over all criteria of all judges, and "the groups moved differently"
    over all watched attributes of all judges.
    """
    p_rows = _adjusted([[row.mean.p_not_zero() for row in judge.rows] for judge in judges])
    p_criteria = _adjusted([[one.p_grown for one in judge.criteria] for judge in judges])
    rows = tuple(
        tuple(_drift_word(row, p, rule) for row, p in zip(judge.rows, adjusted, strict=True))
        for judge, adjusted in zip(judges, p_rows, strict=True)
    )
    criteria = tuple(
        tuple(_quality_word(one, p, rule) for one, p in zip(judge.criteria, adjusted, strict=True))
        for judge, adjusted in zip(judges, p_criteria, strict=True)
    )
    failures = tuple(_failures_word(judge.failed, rule) for judge in judges)
    tests = _adjusted([list(judge.group_p.values()) for judge in judges])
    p_groups = tuple(dict(zip(judge.group_p, p, strict=True)) for judge, p in zip(judges, tests, strict=True))
    drift: list[Drift] = []
    for groups, verdicts in zip(p_groups, rows, strict=True):
        of_rows = worst(verdicts, DRIFT)
        apart = any(p < rule.alpha_group for p in groups.values())  # False where p is NaN
        drift.append(worst([of_rows, INCONCLUSIVE], DRIFT) if apart else of_rows)
    quality = tuple(
        _together([*of_criteria, of_failures]) for of_criteria, of_failures in zip(criteria, failures, strict=True)
    )
    return Words(rows, p_rows, criteria, p_criteria, failures, p_groups, tuple(drift), quality)


def _adjusted(p: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Adjust p values of several judges together by Holm, and return them by judge again."""
    flat = iter(holm(np.array([value for of_judge in p for value in of_judge], dtype=np.float64)).tolist())
    return tuple(tuple(next(flat) for _ in of_judge) for of_judge in p)


def _drift_word(row: RowNumbers, p: float, rule: Compare) -> Drift:
    if row.inside:
        return EQUIVALENT if row.mean.n >= rule.min_participants else INCONCLUSIVE
    return DRIFTED if p < rule.alpha else INCONCLUSIVE  # p is NaN where there is no interval


def _quality_word(one: CriterionNumbers, p: float, rule: Compare) -> Quality:
    if one.mean.n < 2:
        return NOT_JUDGED
    inside = one.upper(rule.alpha) < one.margin
    if not inside and p < rule.alpha:
        return WORSE
    if not inside or one.mean.n < rule.min_participants:
        return NOT_SHOWN
    return BETTER if one.mean.interval(rule.alpha)[1] < 0.0 else SAME


def _failures_word(failed: Failed, rule: Compare) -> Quality:
    """Judge failures case by case; the sign test is exact (McNemar 1947, doi:10.1007/BF02295996)."""
    new, repaired = failed.new_only, failed.old_only
    if new <= rule.failures_new_max:
        return BETTER if _sign_test(repaired, new) < rule.alpha else SAME
    return WORSE if _sign_test(new, repaired) < rule.alpha else NOT_SHOWN


def _sign_test(more: int, fewer: int) -> float:
    """One-sided p that a changed case is as likely to go either way."""
    return float(stats.binom.sf(more - 1, more + fewer, 0.5)) if more + fewer else 1.0


def _together(verdicts: Sequence[Quality]) -> Quality:
    """Better when one criterion is better and all others are better or the same; else the worst."""
    if not verdicts:
        return NOT_JUDGED
    bad = worst(verdicts, QUALITY)
    return bad if bad not in {BETTER, SAME} else min(verdicts, key=QUALITY.index)


def passes(drift: Drift, quality: Quality) -> bool:
    """Tell what the gate asks: equivalent, and no criterion is worse, unknown or not shown to be as good."""
    return drift == EQUIVALENT and quality in {BETTER, SAME}
