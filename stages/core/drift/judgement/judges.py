"""Each judge's numbers and words as part of the record, every row with the sentence that says why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..record.record import (
    UNITS,
    BiasRow,
    Drift,
    DriftRow,
    Judge,
    Quality,
    QualityRow,
    SecondaryRows,
    Watched,
    WatchedMean,
)
from ..rule.settings import Compare
from ..statistics.bias import atrophy_months
from ..statistics.heterogeneity import group_means
from .evidence import Evidence, Failed
from .verdict import (
    DRIFT,
    EQUIVALENT,
    INCONCLUSIVE,
    NOT_JUDGED,
    CriterionNumbers,
    JudgeNumbers,
    RowNumbers,
    drift_rows,
    judge_numbers,
    person_values,
    said_p,
    words,
    worst,
)


@dataclass(frozen=True)
class Case:
    """An earlier version that judges; ``evidence`` is None where it cannot be compared, and ``why`` says so."""

    digest: str
    label: str
    roles: list[str]
    why: str
    evidence: Evidence | None


def judge_all(cases: Sequence[Case], rule: Compare) -> list[Judge]:
    """Judge the candidate beside every judge, together, and write the sentences."""
    numbers = [judge_numbers(case.evidence, rule) for case in cases if case.evidence]
    found = words(numbers, rule)
    judges, k = [], 0
    rows_of_all = sum(row.mean.n > 1 for one in numbers for row in one.rows)  # a row without a p is not counted
    for case in cases:
        if case.evidence is None:
            judges.append(_without_evidence(case))
            continue
        one = numbers[k]
        rows = [
            drift_row(row, verdict, p, rows_of_all, rule)
            for row, verdict, p in zip(one.rows, found.rows[k], found.p_rows[k], strict=True)
        ]
        criteria = [
            quality_row(row, verdict, p, rule)
            for row, verdict, p in zip(one.criteria, found.criteria[k], found.p_criteria[k], strict=True)
        ]
        judges.append(
            Judge(
                digest=case.digest,
                label=case.label,
                roles=case.roles,
                drift=found.drift[k],
                quality=found.quality[k],
                why="",
                rows=rows,
                criteria=[*criteria, failures_row(one.failed, found.failures[k], rule)],
                watched=watched(case.evidence, found.p_groups[k], rule),
                secondary=secondary(case.evidence, rule),
            )
        )
        k += 1
    return judges


def _without_evidence(case: Case) -> Judge:
    return Judge(
        digest=case.digest,
        label=case.label,
        roles=case.roles,
        drift=INCONCLUSIVE,
        quality=NOT_JUDGED,
        why=case.why,
        rows=[],
        criteria=[],
    )


def bias_row(row: RowNumbers, rule: Compare) -> BiasRow:
    """Return a row of bias with its two-sided (1 - alpha) interval."""
    low, high = row.mean.interval(rule.alpha)
    inner = row.mean.interval(2.0 * rule.alpha)
    return BiasRow(
        n=row.mean.n,
        bias_mm2=row.mean.mean,
        bias_percent=100.0 * row.mean.mean / row.old_mm2,
        sd_mm2=row.mean.sd,
        ci_low_mm2=low,
        ci_high_mm2=high,
        dropped=row.dropped,
        atrophy_months=atrophy_months(row.mean.mean, rule.atrophy_mm2_per_year),
        inner_low_mm2=inner[0],
        inner_high_mm2=inner[1],
    )


def drift_row(row: RowNumbers, verdict: Drift, p_holm: float, rows: int, rule: Compare) -> DriftRow:
    """Return a row of drift with its sentence.

    Parameters
    ----------
    row : the row as numbers
    verdict : its word
    p_holm : adjusted p of no bias
    rows : for how many rows p is adjusted
    rule : the rule
    """
    inner, outer = row.mean.interval(2.0 * rule.alpha), row.mean.interval(rule.alpha)
    return DriftRow(
        contrast=row.contrast,
        n=row.mean.n,
        bias_mm2=row.mean.mean,
        inner_low_mm2=inner[0],
        inner_high_mm2=inner[1],
        outer_low_mm2=outer[0],
        outer_high_mm2=outer[1],
        smallest_margin_mm2=row.need_mm2,
        margin_mm2=row.margin_mm2,
        sd_mm2=row.mean.sd,
        skewness=row.skewness,
        sites=row.mean.sites,
        missing=row.missing,
        cases=row.cases,
        p=row.mean.p_not_zero(),
        p_holm=p_holm,
        verdict=verdict,
        why=_why_drift(row, verdict, p_holm, rows, rule),
    )


def _why_drift(row: RowNumbers, verdict: str, p_holm: float, rows: int, rule: Compare) -> str:
    n, margin = row.mean.n, f"±{row.margin_mm2:g} mm²"
    if n < 2:
        return f"{n} participant(s) measured by both versions give no interval"
    low, high = row.mean.interval(2.0 * rule.alpha)
    level = f"{100 * (1 - 2 * rule.alpha):g} % interval {low:+.2f} to {high:+.2f} mm², n = {n}"
    moved = low > 0.0 or high < 0.0  # what the interval in this sentence shows
    direction = "larger" if row.mean.mean > 0.0 else "smaller"
    lost = ""
    if row.missing:
        lost = (
            f"; {row.missing} of {row.cases} cases are missing in a version and count as if they had moved by "
            f"{rule.missing_bound_mm2:g} mm², so that the row needs ±{row.need_mm2:.2f}"
        )
    if verdict == EQUIVALENT:
        small = f"; areas are {direction} all the same, by {abs(row.mean.mean):.2f} mm² in the mean" if moved else ""
        return f"{level}, inside {margin}{lost}{small}"
    if row.inside:
        return (
            f"{level}, inside {margin}, but n = {n} is fewer than the {rule.min_participants} that are asked for{lost}"
        )
    adjusted = f"{said_p(p_holm)}, adjusted for {rows} rows"
    if verdict == INCONCLUSIVE and moved:
        # The interval of this row alone excludes 0: to say "not shown that it moved" would be wrong.
        return (
            f"{level}, not inside {margin}{lost}; this row alone is {direction}, which is not certain among all rows "
            f"({adjusted})"
        )
    if verdict == INCONCLUSIVE:
        return f"{level}, not inside {margin}{lost}; that the areas moved is not shown either ({adjusted})"
    return f"{level}, not inside {margin}{lost}, and areas are {direction} ({adjusted})"


def quality_row(one: CriterionNumbers, verdict: Quality, p_holm: float, rule: Compare) -> QualityRow:
    """Return a row of quality with its sentence.

    Parameters
    ----------
    one : the criterion as numbers
    verdict : its word
    p_holm : adjusted p of its having grown
    rule : the rule
    """
    low, high = one.mean.interval(rule.alpha)
    return QualityRow(
        criterion=one.name,
        n=one.mean.n,
        new=one.new,
        old=one.old,
        difference=one.mean.mean,
        low=low,
        high=high,
        margin=one.margin,
        p_holm=p_holm,
        verdict=verdict,
        why=_why_quality(one, verdict, low, high, p_holm, rule),
    )


def _why_quality(one: CriterionNumbers, verdict: Quality, low: float, high: float, p_holm: float, rule: Compare) -> str:
    n, unit = one.mean.n, UNITS[one.name]
    if n < 2:
        return f"{n} participant(s) with both values"
    said = f"new − old {low:+.2f} to {high:+.2f}{unit} ({100 * (1 - rule.alpha):g} % interval, n = {n})"
    inside = one.upper(rule.alpha) < one.margin
    shown = f"less than {one.margin:g}{unit} larger, at {100 * (1 - rule.alpha):g} % confidence"
    few = f", but n = {n} is fewer than the {rule.min_participants} that are asked for"
    return {
        "better": f"{said}: smaller",
        "same": f"{said}: {shown}",
        "worse": f"{said}: larger ({said_p(p_holm)}, adjusted for all criteria), and not shown to be {shown}",
        "not shown": f"{said}: {shown}{few}" if inside else f"{said}: neither shown to be {shown}, nor to have grown",
    }[verdict]


def failures_row(failed: Failed, verdict: Quality, rule: Compare) -> QualityRow:
    """Return the row of failures, which are compared case by case."""
    new, old = failed.both + failed.new_only, failed.both + failed.old_only
    said = f"{failed.new_only} of {failed.cases} cases failed now and not before, {failed.old_only} before and not now"
    limit = f"at most {rule.failures_new_max} may fail newly"
    why = {
        "better": f"{said}: fewer",
        "same": f"{said}; {limit}",
        "worse": f"{said}; {limit}, and they are more than chance would bring",
        "not shown": f"{said}; {limit}",
    }[verdict]
    return QualityRow(
        criterion="failures",
        n=failed.cases,
        new=new,
        old=old,
        difference=failed.new_only,
        low=math.nan,
        high=math.nan,
        margin=rule.failures_new_max,
        verdict=verdict,
        why=why,
    )


def watched(evidence: Evidence, p_groups: Mapping[str, float], rule: Compare) -> list[Watched]:
    """Return the groups of every watched attribute with the test of their difference.

    Parameters
    ----------
    evidence : of one judge
    p_groups : attribute -> p of its test, adjusted over attributes and judges
    rule : the rule
    """
    people = evidence.people
    values = person_values(evidence.metrics[rule.primary.name], rule)
    known = np.isfinite(values)
    out = []
    for attribute, p in p_groups.items():
        groups = group_means(
            values[known],
            people.site[known],
            people.groups[attribute][known],
            alpha=rule.alpha,
            alpha_group=rule.alpha_group,
            year_mm2=rule.atrophy_mm2_per_year,
        )
        moved = [
            group.name
            for group in groups
            if abs(group.mean_mm2) >= rule.atrophy_mm2_per_year and (group.low_mm2 > 0.0 or group.high_mm2 < 0.0)
        ]
        rows = [WatchedMean(**asdict(group)) for group in groups]
        out.append(Watched(attribute=attribute, p=p, differs=p < rule.alpha_group, groups=rows, moved=moved))
    return out


def secondary(evidence: Evidence, rule: Compare) -> list[SecondaryRows]:
    """Judge every secondary number by itself; it is shown and decides nothing."""
    out = []
    for metric in rule.secondary:
        if metric.name not in evidence.metrics:
            continue
        alone = rule.model_copy(update={"metrics": [metric.model_copy(update={"role": "primary"})], "watched": []})
        numbers = JudgeNumbers(
            drift_rows(evidence.metrics[metric.name], evidence.people, metric, rule), (), Failed(0, 0, 0, 0), {}
        )
        found = words([numbers], alone)
        rows = [
            drift_row(row, verdict, p, sum(one.mean.n > 1 for one in numbers.rows), rule)
            for row, verdict, p in zip(numbers.rows, found.rows[0], found.p_rows[0], strict=True)
        ]
        out.append(SecondaryRows(metric=metric.name, drift=worst(list(found.rows[0]), DRIFT), rows=rows))
    return out
