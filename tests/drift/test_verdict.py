"""The verdict: equivalent, drifted or inconclusive; better, same or worse; champion and anchor."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired
from support.drift_factory import CONTRASTS, csa_table, drift_row, failures_row, older, version

from stages.core.drift.judgement.comparison import compare
from stages.core.drift.judgement.decision import decide, decision, judge_of
from stages.core.drift.judgement.verdict import DRIFT, Scores, judge_drift, judge_quality
from stages.core.drift.record.record import Decision, DriftRow
from stages.core.drift.rule.settings import Compare
from stages.core.drift.statistics.bias import pair
from stages.core.drift.versions.version import MeasuredVersion, Prior

RULE = Compare(
    margin_mm2=0.65, csa_std_margin_mm2=0.1, alpha=0.05, min_contrasts=4, min_participants=30, atrophy_mm2_per_year=1.4
)
N = 49


def people(
    shift: dict[str, float] | float = 0.0, spread: float = 0.0, n: int = N, seed: int = 1
) -> dict[str, list[float]]:
    """CSA of n participants in six contrasts, moved by ``shift`` with noise of ``spread`` per case."""
    rng, noise = np.random.default_rng(7), np.random.default_rng(seed)
    base = rng.normal(76, 6, N)
    move = dict.fromkeys(CONTRASTS, shift) if isinstance(shift, float) else shift
    return {
        f"sub-{k:02d}": [float(base[k] + move.get(c, 0.0) + spread * noise.normal()) for c in CONTRASTS]
        for k in range(n)
    }


def rows(new: dict[str, list[float]], old: dict[str, list[float]], rule: Compare = RULE) -> dict[str, DriftRow]:
    return {row.contrast: row for row in judge_drift(pair(csa_table(new), csa_table(old)), CONTRASTS, rule)}


def judged(
    candidate: MeasuredVersion, *priors: tuple[MeasuredVersion, tuple[str, ...]], offline: bool = False
) -> Decision:
    """The verdict; priors with their aliases."""
    before = [Prior(p.series, f"v{k}", aliases, p) for k, (p, aliases) in enumerate(priors, start=1)]
    return compare(candidate, before, contrasts=CONTRASTS, rule=RULE, offline=offline).drift.verdict


BOTH = ("anchor", "champion")

# Drift ---


def test_identical_models_are_equivalent() -> None:
    found = rows(people(), people())
    assert {row.verdict for row in found.values()} == {"equivalent"}
    assert found["pooled"].bias_mm2 == 0.0
    assert found["pooled"].smallest_margin_mm2 == 0.0


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "equivalent"), (0.9, "drifted"), (-0.9, "drifted")])
def test_a_bias_beyond_the_margin_is_drift(shift: float, expected: str) -> None:
    found = rows(people(shift, 0.4), people(0.0, 0.4, seed=2))
    assert {row.verdict for row in found.values()} == {expected}


def test_a_small_bias_that_is_surely_there_is_still_equivalent_and_said() -> None:
    row = rows(people(0.3, 0.1), people(0.0, 0.1, seed=2))["pooled"]
    assert row.verdict == "equivalent"
    assert row.outer_low_mm2 > 0
    assert "a small bias is there all the same" in row.why


def test_noise_is_inconclusive_and_not_no_drift() -> None:
    row = rows(people(0.0, 4.0), people(0.0, 4.0, seed=2))["T1w"]
    assert row.verdict == "inconclusive"
    assert "too few or too noisy" in row.why
    assert row.smallest_margin_mm2 > 0.65


def test_contrasts_that_move_apart_are_not_pooled_away() -> None:
    """One contrast at +2 and one at -2: the pooled bias is 0, and the verdict is drift."""
    new = version(people({"T1w": 2.0, "DWI": -2.0}, 0.2))
    record = judged(new, (older(people(0.0, 0.2, seed=2)), BOTH))
    judge = record.judges[0]
    assert {row.contrast: row.verdict for row in judge.rows} == {
        "T1w": "drifted", "T2w": "equivalent", "T2star": "equivalent", "MTon": "equivalent", "MToff": "equivalent",
        "DWI": "drifted", "pooled": "equivalent",
    }  # fmt: skip
    assert record.drift == "drifted"
    assert {reason.split(":")[0] for reason in record.reasons[:2]} == {
        "against champion and anchor v1, T1w", "against champion and anchor v1, DWI",
    }  # fmt: skip


def test_a_missing_shard_is_named_and_nothing_is_decided() -> None:
    """Not even a drift that the rest shows, and not the first version of a series."""
    gone = {"frozen/3": "its job failed"}
    for shift, passes in ((0.0, True), (2.0, False)):
        new, old = version(people(shift, 0.1)), older(people(0.0, 0.1, seed=2))
        assert judged(new, (old, BOTH)).passed is passes
        record = judged(replace(new, lost=gone), (old, BOTH))
        assert (record.drift, record.passed) == ("inconclusive", False)
        assert "shard frozen/3 of the frozen set is missing: its job failed" in record.reasons[0]
    first = judged(replace(version(people()), lost=gone))
    assert (first.drift, first.quality, first.passed) == ("inconclusive", "unknown", False)


def test_the_first_version_is_the_first_whatever_was_imported_before_it() -> None:
    imported = older(people(2.0, 0.1), ruler="none", frozen="")
    record = judged(version(people()), (imported, ()))
    assert (record.drift, record.passed, record.judges) == ("first", True, [])
    own = older(people(), digest="b" * 64)
    assert judged(version(people()), (imported, ()), (own, ())).drift == "inconclusive", "an own prior, and no judge"


def test_reasons_begin_with_the_worst_and_are_few() -> None:
    new = version(people({c: 1.0 + k for k, c in enumerate(CONTRASTS)}, 0.2))
    record = judged(new, (older(people(0.0, 0.2, seed=2)), BOTH))
    drift = [reason for reason in record.reasons if "mm2" not in reason and "failures" not in reason]
    assert [reason.split(":")[0].rpartition(", ")[2] for reason in drift[:3]] == ["DWI", "MToff", "MTon"]
    assert drift[3] == "against champion and anchor v1: 4 more rows are drifted"


def test_six_participants_are_inconclusive_at_best_and_it_says_why() -> None:
    row = rows(people(0.0, n=6), people(0.0, n=6))["pooled"]
    assert (row.n, row.verdict) == (6, "inconclusive")
    assert "n = 6 is fewer than the 30 that are asked for" in row.why
    assert rows(people(3.0, 0.2, n=6), people(0.0, 0.2, n=6, seed=2))["pooled"].verdict == "drifted"


def test_a_missing_contrast_is_inconclusive() -> None:
    new = people()
    for values in new.values():
        values[5] = math.nan
    found = rows(new, people())
    assert (found["DWI"].n, found["DWI"].verdict) == (0, "inconclusive")
    assert math.isnan(found["DWI"].bias_mm2)
    assert found["pooled"].verdict == "equivalent", "five contrasts of each participant are left"
    record = judged(version(new), (older(people()), BOTH))
    assert (record.drift, record.quality) == ("inconclusive", "worse")
    assert math.isnan(record.smallest_margin_mm2)


def test_a_participant_who_fails_in_one_version_leaves_the_pairs_and_counts_as_a_failure() -> None:
    new = people()
    new["sub-00"][0] = math.nan
    assert rows(new, people())["T1w"].n == N - 1
    record = judged(version(new), (older(people()), BOTH))
    assert (record.drift, record.quality, record.passed) == ("equivalent", "worse", False)
    assert any("failures: worse. 1 of 294 cases failed, 0 of 294 before" in reason for reason in record.reasons)


def test_what_is_no_longer_covered_is_not_equivalent() -> None:
    """The mask did not fail, and has no value at the range; or the case is missing, as when a shard is."""
    new, old = csa_table(people()), csa_table(people())
    first = (new["participant"] == "sub-00") & (new["contrast"] == "T1w")
    for less in (new.assign(csa_mm2=new["csa_mm2"].mask(first)), new[~first]):
        found = {row.contrast: row for row in judge_drift(pair(less, old), CONTRASTS, RULE)}
        assert (found["T1w"].n, found["T1w"].verdict, found["T2w"].verdict) == (N - 1, "inconclusive", "equivalent")
        assert "1 case(s) that were measured before have no value now" in found["T1w"].why
    for same in (pair(new, old[~first]), pair(new.assign(csa_mm2=new["csa_mm2"].mask(first), failed=first), old)):
        assert {row.verdict for row in judge_drift(same, CONTRASTS, RULE)} == {"equivalent"}, (
            "found for the first time, or failed"
        )


def test_all_predictions_empty() -> None:
    record = judged(version({sub: [math.nan] * 6 for sub in people()}), (older(people()), BOTH))
    assert (record.drift, record.quality, record.passed) == ("inconclusive", "worse", False)


@settings(max_examples=60)
@given(
    n=st.integers(30, 60),
    mean=st.floats(-1.0, 1.0),
    sd=st.floats(0.05, 3.0),
    margin=st.floats(0.1, 2.0),
    seed=st.integers(0, 1000),
)
def test_equivalence_is_the_paired_tost_of_statsmodels(
    n: int, mean: float, sd: float, margin: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    old = rng.normal(76, 6, n)
    new = old + rng.normal(mean, sd, n)
    table = [csa_table({f"s{k:02d}": [v] for k, v in enumerate(values)}, ["T1w"]) for values in (new, old)]
    rule = RULE.model_copy(update={"margin_mm2": margin})
    row = judge_drift(pair(*table), ["T1w"], rule)[0]
    p = ttost_paired(new, old, -margin, margin)[0]
    assert (row.verdict == "equivalent") == (p < rule.alpha)
    wide = judge_drift(pair(*table), ["T1w"], rule.model_copy(update={"margin_mm2": row.smallest_margin_mm2 * 1.001}))
    tight = judge_drift(pair(*table), ["T1w"], rule.model_copy(update={"margin_mm2": row.smallest_margin_mm2 * 0.999}))
    assert (wide[0].verdict, tight[0].verdict == "equivalent") == ("equivalent", False)


@settings(max_examples=40)
@given(shift=st.floats(-3, 3), seed=st.integers(0, 100))
def test_swapping_the_versions_turns_the_bias_and_keeps_the_verdict(shift: float, seed: int) -> None:
    a, b = people(shift, 0.5, seed=seed), people(0.0, 0.5, seed=seed + 1)
    there, back = rows(a, b), rows(b, a)
    for name, row in there.items():
        assert back[name].verdict == row.verdict
        assert back[name].bias_mm2 == pytest.approx(-row.bias_mm2)
        assert back[name].inner_low_mm2 == pytest.approx(-row.inner_high_mm2)


# Quality ---


def scored(std: float, error: float = 1.0, failures: int = 0, spread: float = 0.2, seed: int = 0) -> Scores:
    rng = np.random.default_rng(seed)
    names = pd.Index([f"sub-{k:02d}" for k in range(N)])
    values = [pd.Series(mean + spread * rng.normal(size=N), index=names) for mean in (std, error)]
    return Scores(values[0], values[1], failures, 294)


@pytest.mark.parametrize(
    ("new", "old", "verdicts"),
    [
        (scored(2.0), scored(2.0), ["same", "same", "same"]),
        (scored(1.0, seed=1), scored(2.0), ["better", "same", "same"]),
        (scored(3.0, seed=1), scored(2.0), ["worse", "same", "same"]),
        (scored(2.0, 0.5, seed=1), scored(2.0), ["same", "better", "same"]),
        (scored(2.0, failures=1), scored(2.0), ["same", "same", "worse"]),
        (scored(2.0), scored(2.0, failures=1), ["same", "same", "better"]),
        (scored(2.0, spread=3.0, seed=1), scored(2.0, spread=3.0), ["worse", "worse", "same"]),
    ],
)
def test_quality_by_three_criteria(new: Scores, old: Scores, verdicts: list[str]) -> None:
    found = judge_quality(new, old, RULE)
    assert [row.criterion for row in found] == ["csa_std_mm2", "csa_error_mm2", "failures"]
    assert [row.verdict for row in found] == verdicts


@settings(max_examples=40)
@given(mean=st.floats(-0.5, 0.5), sd=st.floats(0.05, 1.0), margin=st.floats(0.05, 0.5), seed=st.integers(0, 1000))
def test_not_worse_is_the_one_sided_test_against_the_margin(mean: float, sd: float, margin: float, seed: int) -> None:
    """Non-inferiority: the hypothesis that it grew by the margin or more is rejected at alpha."""
    rng = np.random.default_rng(seed)
    names = pd.Index([f"sub-{k:02d}" for k in range(N)])
    old = pd.Series(rng.normal(2.0, 0.5, N), index=names)
    new, same = old + rng.normal(mean, sd, N), pd.Series(1.0, index=names)
    found = judge_quality(
        Scores(new, same, 0, 294), Scores(old, same, 0, 294), RULE.model_copy(update={"csa_std_margin_mm2": margin})
    )[0]
    p = stats.ttest_1samp(new - old, margin, alternative="less").pvalue
    assert (found.verdict in {"better", "same"}) == (p < RULE.alpha)
    assert (found.verdict == "better") == (stats.ttest_rel(new, old).pvalue < RULE.alpha and found.difference < 0)


def test_a_seed_floor_widens_the_margin() -> None:
    new, old = scored(2.3, seed=1), scored(2.0)
    assert judge_quality(new, old, RULE)[0].verdict == "worse"
    assert judge_quality(new, old, RULE, seed_floor_mm2=0.6)[0].verdict == "same"


def test_without_reference_the_error_is_unknown_and_not_the_same() -> None:
    nothing = replace(scored(2.0), csa_error_mm2=pd.Series(dtype=float))
    row = judge_quality(nothing, nothing, RULE)[1]
    assert (row.verdict, row.n) == ("unknown", 0)
    assert math.isnan(row.difference)


# Champion and anchor ---


def test_five_small_steps_are_caught_by_the_anchor() -> None:
    """Each step of +0.4 passes against the champion of its day; against the anchor the second one already does not."""
    anchor = older(people(0.0, 0.05, seed=0), "0" * 64)
    champion, found = anchor, []
    for step in range(1, 6):
        new = version(people(0.4 * step, 0.05, seed=step))
        before = [(anchor, ("anchor",)), (champion, ("champion",))] if step > 1 else [(anchor, BOTH)]
        record = judged(new, *before)
        found.append({role: judge.drift for judge in record.judges for role in judge.roles})
        assert record.drift == found[-1]["anchor"]
        champion = older(people(0.4 * step, 0.05, seed=step), str(step) * 64)
    assert [step["champion"] for step in found] == ["equivalent"] * 5
    assert [step["anchor"] for step in found] == ["equivalent"] + ["drifted"] * 4


def test_the_first_version_is_judged_by_nothing_and_passes() -> None:
    record = judged(version(people()))
    assert (record.drift, record.quality, record.passed, record.judges) == ("first", "first", True, [])


def test_offline_nothing_passes() -> None:
    record = judged(version(people()), offline=True)
    assert (record.drift, record.passed) == ("inconclusive", False)
    assert "history was offline" in record.reasons[0]


@pytest.mark.parametrize("changes", [{"frozen": "e" * 64}, {"ruler": "e" * 64}, {"range": "C3"}])
def test_a_champion_that_cannot_be_compared_does_not_let_pass(changes: dict[str, str]) -> None:
    record = judged(version(people()), (older(people(), **changes), BOTH))
    assert (record.drift, record.quality, record.passed) == ("inconclusive", "unknown", False)
    assert "cannot be judged. It was measured" in record.reasons[0]


def test_other_priors_are_shown_and_judge_nothing() -> None:
    record = judged(version(people()), (older(people(5.0), "d" * 64), ()), (older(people()), BOTH))
    assert (record.drift, record.passed) == ("equivalent", True)
    record = judged(version(people()), (older(people()), ()))
    assert "none of 1 earlier version(s) is champion or anchor" in record.reasons[0]


@pytest.mark.parametrize("verdicts", [("equivalent", "drifted"), ("inconclusive", "equivalent"), ("equivalent",)])
def test_the_worse_judge_decides(verdicts: tuple[str, ...]) -> None:
    judges = [
        judge_of(role * 9, "", [role], [drift_row(verdict)], [failures_row()])
        for verdict, role in zip(verdicts, BOTH, strict=False)
    ]
    found = decide(judges, priors=2, offline=False)
    assert found.drift == max(verdicts, key=DRIFT.index)
    assert found.passed == (set(verdicts) == {"equivalent"})


@pytest.mark.parametrize(
    ("quality", "passed"), [("better", True), ("same", True), ("unknown", False), ("worse", False)]
)
def test_the_gate_asks_for_both(quality: Any, passed: bool) -> None:
    assert decision("equivalent", quality, []).passed == passed
    assert not decision("drifted", quality, []).passed
    assert not decision("inconclusive", quality, []).passed


def test_the_smallest_margin_holds_every_row_of_every_judge() -> None:
    """With 0.4 mm2 all of 0.1, 0.4 and 0.3 are inside; with less, one is not."""
    judges = [
        judge_of("a", "", ["anchor"], [drift_row(smallest_margin_mm2=0.1), drift_row(smallest_margin_mm2=0.4)]),
        judge_of("b", "", ["champion"], [drift_row(smallest_margin_mm2=0.3)]),
    ]
    assert decision("equivalent", "same", [], judges).smallest_margin_mm2 == 0.4
    unknown = judge_of("c", "", ["champion"], [drift_row("inconclusive", math.nan), drift_row(smallest_margin_mm2=0.1)])
    assert math.isnan(decision("inconclusive", "same", [], [*judges, unknown]).smallest_margin_mm2)
    assert math.isnan(decision("first", "first", []).smallest_margin_mm2)


def test_one_side_is_tested_at_alpha() -> None:
    """Two participants, 0 and 0.1 mm2 more: mean 0.05, standard error 0.05, t 6.31 one-sided and 12.71 two-sided.

    The upper end is 0.37 mm2 one-sided, which is below the margin of 0.5, and 0.69 mm2 two-sided, which is not.
    """
    old = pd.Series([2.0, 2.0], index=["sub-a", "sub-b"])
    new = pd.Series([2.0, 2.1], index=old.index)
    rule = RULE.model_copy(update={"csa_std_margin_mm2": 0.5})
    row = judge_quality(Scores(new, old, 0, 12), Scores(old, old, 0, 12), rule)[0]
    assert row.high == pytest.approx(0.05 + 0.05 * 12.7062, abs=1e-4)
    assert row.verdict == "same"
    tight = judge_quality(
        Scores(new, old, 0, 12), Scores(old, old, 0, 12), rule.model_copy(update={"csa_std_margin_mm2": 0.36})
    )
    assert tight[0].verdict == "worse"
