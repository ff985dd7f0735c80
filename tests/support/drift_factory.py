"""Versions, comparisons and records of drift, made up; a test names what it is about, and the rest is ordinary."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from stages.core.drift.judgement.comparison import Comparison, compare
from stages.core.drift.record.floors import Floors, RunnerFloor, SeedFloor
from stages.core.drift.record.record import (
    BiasRow,
    Decision,
    DriftRecord,
    DriftRow,
    Judge,
    PriorRecord,
    QualityRow,
    Rule,
    SeriesRecord,
    VersionRecord,
)
from stages.core.drift.rule.settings import Compare, JudgedMetric
from stages.core.drift.versions.version import MeasuredVersion, Prior, Series
from stages.core.measures.morphometry.table import as_table
from stages.core.tables.columns import AGREEMENT_COLUMNS

CONTRASTS = ["T1w", "T2w", "T2star", "MTon", "MToff", "DWI"]
METRIC = JudgedMetric(
    metric="csa_mm2", range="C2-C3", contrasts=None, kind="binary", margin_pooled_mm2=0.65, margin_contrast_mm2=1.0,
    role="primary",
)  # fmt: skip
SOFT = METRIC.model_copy(update={"kind": "soft", "role": "secondary"})
RULE = Compare(
    metrics=[METRIC, SOFT], bound_pooled_mm2=0.65, bound_contrast_mm2=1.4, csa_std_margin_mm2=0.3,
    csa_error_margin_mm2=0.4, uncovered_margin=0.05, failures_new_max=2, alpha=0.05, alpha_group=0.01,
    watched=["manufacturer"], missing_bound_mm2=4.0, min_contrasts=4, min_participants=5, min_sites=10, min_dice=0.5,
    max_centreline_mm=3.0, atrophy_mm2_per_year=1.4,
)  # fmt: skip
SERIES = Series("b" * 64, "i" * 64, "r" * 64, "f" * 64, "C2-C3")


def csa_table(values: dict[str, list[float]], contrasts: list[str] = CONTRASTS) -> pd.DataFrame:
    rows = [
        ("set", sub, "", contrast, value, False)
        for sub, row in values.items()
        for contrast, value in zip(contrasts, row, strict=True)
    ]
    return pd.DataFrame(rows, columns=["dataset", "participant", "session", "contrast", "csa_mm2", "failed"])


def version(values: dict[str, list[float]], series: Series = SERIES, truth: float | None = 75.0) -> MeasuredVersion:
    """A version whose measures hold the given CSA (NaN: failed) and a constant ground truth."""
    rows, pairs = [], []
    for sub, row in values.items():
        for contrast, value in zip(CONTRASTS, row, strict=True):
            case = {"dataset": "set", "participant": sub, "session": "", "contrast": contrast, "kind": "binary"}
            covered = math.nan if math.isnan(value) else 1.0
            common = case | {"scope": "range", "levels": "C2-C3", "coverage": covered}
            flags = "failed" if math.isnan(value) else ""
            rows.append(common | {"source": "prediction", "csa_mm2": value, "flags": flags})
            rows.append(common | {"source": "prediction", "csa_mm2": 99.0, "kind": "soft"})
            rows.append(common | {"source": "prediction", "csa_mm2": 11.0, "scope": "level", "level": 2, "levels": ""})
            if truth is not None:
                rows.append(common | {"source": "reference", "csa_mm2": truth})
            error = math.nan if truth is None else abs(value - truth)
            dice = math.nan if math.isnan(value) or truth is None else 0.95
            pairs.append(case | {"dice": dice, "csa_error_mm2": error, "flags": flags})
    return MeasuredVersion(series, "", (), as_table(rows), pd.DataFrame(pairs, columns=list(AGREEMENT_COLUMNS)))


def run(
    candidate: MeasuredVersion, *priors: MeasuredVersion, labels: tuple[str, ...] = ("v1",), offline: bool = False
) -> Comparison:
    before = [Prior(p.series, label, p.aliases, p) for p, label in zip(priors, labels, strict=False)]
    return compare(candidate, before, contrasts=CONTRASTS, rule=RULE, offline=offline)


def older(values: dict[str, list[float]], digest: str = "a" * 64, **changes: str) -> MeasuredVersion:
    return version(values, replace(SERIES, bundle=digest, **changes))


FLAT = {f"sub-{k}": [70.0 + k] * 6 for k in range(5)}


def of(model: type[Any], usual: dict[str, Any], given: dict[str, Any]) -> Any:
    """A part of the record: the usual values, and what is given."""
    return model(**usual | given)


def bias_row(bias_mm2: float = 0.2, **given: Any) -> BiasRow:
    usual = {"n": 6, "bias_mm2": bias_mm2, "bias_percent": 0.3, "sd_mm2": 0.1, "ci_low_mm2": 0.1, "ci_high_mm2": 0.3}
    row: BiasRow = of(BiasRow, usual | {"dropped": 0, "atrophy_months": -1.7}, given)
    return row


def prior_record(digest: str = "b", **given: Any) -> PriorRecord:
    usual = {"label": "v1", "aliases": ["champion"], "comparable": True, "marks": [], "why": "", "contrasts": {}}
    prior: PriorRecord = of(PriorRecord, usual | {"digest": digest, "pooled": bias_row()}, given)
    return prior


def version_record(version: str = "d", role: str = "candidate", **given: Any) -> VersionRecord:
    counts = {"n": 6, "participants": 6, "cases": 36, "failed": 0, "unmeasured": 0}
    std = {"csa_std_mean_mm2": 1.5, "csa_std_sd_mm2": 0.5, "csa_std_low_mm2": 1.0, "csa_std_high_mm2": 2.0}
    named = {"version": version, "label": "", "role": role, "marks": []}
    record: VersionRecord = of(VersionRecord, named | std | counts, given)
    return record


def drift_row(verdict: str = "equivalent", smallest_margin_mm2: float = 0.1, **given: Any) -> DriftRow:
    usual: dict[str, Any] = {"contrast": "T1w", "n": 49, "bias_mm2": 0.0, "verdict": verdict, "why": "why"}
    ends = ("inner_low_mm2", "inner_high_mm2", "outer_low_mm2", "outer_high_mm2")
    usual |= dict.fromkeys(ends, 0.0) | {"smallest_margin_mm2": smallest_margin_mm2, "margin_mm2": 1.0}
    row: DriftRow = of(DriftRow, usual, given)
    return row


def failures_row(**given: Any) -> QualityRow:
    usual: dict[str, Any] = {"criterion": "failures", "n": 294, "new": 0, "old": 0, "difference": 0, "margin": 0.0}
    row: QualityRow = of(QualityRow, usual | {"low": math.nan, "high": math.nan, "verdict": "same", "why": ""}, given)
    return row


def judge(*rows: DriftRow, digest: str = "b", **given: Any) -> Judge:
    usual = {"label": "v1", "roles": ["champion"], "drift": "drifted", "quality": "same", "why": "", "criteria": []}
    made: Judge = of(Judge, usual | {"digest": digest, "rows": list(rows)}, given)
    return made


def verdict(drift: str = "drifted", **given: Any) -> Decision:
    usual: dict[str, Any] = {"quality": "same", "passed": drift in {"equivalent", "first"}, "reasons": []}
    made: Decision = of(Decision, usual | {"drift": drift, "judges": []}, given)
    return made


def runner_floor(mean_mm2: float) -> RunnerFloor:
    moved = abs(mean_mm2)
    return RunnerFloor(
        variant="step 0.5 instead of 0.75", n=36, lost=0, mean_mm2=mean_mm2, mean_abs_mm2=moved, worst_mm2=moved
    )


def seed_floor(bias_mm2: float, csa_std_difference_mm2: float = 0.0) -> SeedFloor:
    return SeedFloor(
        seed="2", bundle="e" * 64, n=6, bias_mm2=bias_mm2, csa_std_difference_mm2=csa_std_difference_mm2, n_csa_std=6
    )


def drift_record(**given: Any) -> DriftRecord:
    """A record in which the candidate ``d`` is judged against the champion ``b``; ``given`` replaces its fields."""
    usual: dict[str, Any] = {
        "candidate": SeriesRecord(bundle="d", inference="i" * 64, ruler="r" * 64, frozen="f" * 64),
        "range": "C2-C3", "contrasts": [],
        "versions": [version_record()], "priors": [prior_record()], "against": "b", "offline": False, "incomplete": [],
        "used": 2, "declared": None, "floors": Floors(runner=[], seeds=[]), "verdict": verdict(),
        "rule": Rule(**RULE.model_dump() | {"min_participants": 30, "metrics": RULE.metrics}),
    }  # fmt: skip
    record: DriftRecord = of(DriftRecord, usual, given)
    return record
