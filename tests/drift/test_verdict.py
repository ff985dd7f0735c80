"""The verdict: equivalent, drifted or inconclusive; better, same, not shown or worse; champion and anchor.

Cases go in as tables of two versions, so that the whole way from the table to the sentence is tested.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired
from support.drift_factory import CONTRASTS, METRIC, RULE, csa_table, older, version
from support.verdict_factory import BOTH, RULE30, N, criterion, judge_tables, judged, people, rows, table_of_sites

from stages.core.drift.record.record import DriftRow

pytestmark = pytest.mark.slow

# Drift ---


def test_identical_models_are_equivalent() -> None:
    found = rows(people(), people())
    assert {row.verdict for row in found.values()} == {"equivalent"}
    assert found["pooled"].bias_mm2 == 0.0
    assert found["pooled"].smallest_margin_mm2 == 0.0


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "equivalent"), (1.4, "drifted"), (-1.4, "drifted")])
def test_a_bias_beyond_the_margin_is_drift(shift: float, expected: str) -> None:
    found = rows(people(shift, 0.4), people(0.0, 0.4, seed=2))
    assert {row.verdict for row in found.values()} == {expected}


@pytest.mark.parametrize(("shift", "word"), [(1.4, "larger"), (-1.4, "smaller")])
def test_a_drift_says_in_which_direction(shift: float, word: str) -> None:
    assert f"areas are {word}" in rows(people(shift, 0.4), people(0.0, 0.4, seed=2))["T1w"].why


def test_a_small_bias_that_is_surely_there_is_still_equivalent_and_said() -> None:
    row = rows(people(0.3, 0.1), people(0.0, 0.1, seed=2))["pooled"]
    assert row.verdict == "equivalent"
    assert row.outer_low_mm2 > 0
    assert "areas are larger all the same, by 0.29 mm²" in row.why


def test_noise_is_inconclusive_and_not_no_drift() -> None:
    row = rows(people(0.0, 4.0), people(0.0, 4.0, seed=2))["T1w"]
    assert row.verdict == "inconclusive"
    assert "that the areas moved is not shown either" in row.why
    assert row.smallest_margin_mm2 > 1.0


def test_not_shown_is_never_said_of_an_interval_that_excludes_0() -> None:
    """One of seven rows moved by two standard errors: by itself it excludes 0, among seven rows it may be chance."""
    new = people({"T1w": 1.0}, 1.7, seed=8)
    row = rows(new, people(0.0, 1.7, seed=2))["T1w"]
    assert (row.inner_low_mm2 > 0, row.p_holm > 0.05, row.verdict) == (True, True, "inconclusive")
    assert "not shown" not in row.why
    assert "this row alone is larger, which is not certain among all rows" in row.why


def test_pooled_and_each_contrast_have_their_own_margins() -> None:
    """0.8 mm2 in all contrasts: inside the contrasts' margin of 1, outside the pooled one of 0.65."""
    found = rows(people(0.8, 0.1), people(0.0, 0.1, seed=2))
    assert {name: row.verdict for name, row in found.items()} == dict.fromkeys(CONTRASTS, "equivalent") | {
        "pooled": "drifted"
    }
    assert {name: row.margin_mm2 for name, row in found.items()} == dict.fromkeys(CONTRASTS, 1.0) | {"pooled": 0.65}


def test_a_contrast_may_have_a_margin_of_its_own() -> None:
    each = dict.fromkeys(CONTRASTS, 1.0) | {"DWI": 1.4}
    rule = RULE30.model_copy(update={"metrics": [METRIC.model_copy(update={"margin_contrast_mm2": each})]})
    found = rows(people({"DWI": 1.2, "T1w": 1.2}, 0.1), people(0.0, 0.1, seed=2), rule)
    assert (found["DWI"].verdict, found["T1w"].verdict) == ("equivalent", "drifted")


def test_contrasts_that_move_apart_are_not_pooled_away() -> None:
    """One contrast at +2 and one at -2: the pooled bias is 0, and the verdict is drift."""
    new = version(people({"T1w": 2.0, "DWI": -2.0}, 0.2))
    record = judged(new, (older(people(0.0, 0.2, seed=2)), BOTH))
    assert {row.contrast: row.verdict for row in record.judges[0].rows} == {
        "T1w": "drifted", "T2w": "equivalent", "T2star": "equivalent", "MTon": "equivalent", "MToff": "equivalent",
        "DWI": "drifted", "pooled": "equivalent",
    }  # fmt: skip
    assert record.drift == "drifted"
    assert {reason.split(":")[0] for reason in record.reasons[:2]} == {
        "against champion and anchor v1, T1w", "against champion and anchor v1, DWI",
    }  # fmt: skip


def test_sites_widen_the_interval_and_are_counted() -> None:
    """Ten sites whose people moved together: 49 differences are not 49 independent ones."""
    sites = {f"sub-{k:02d}": f"site{k % 10}" for k in range(N)}
    moves = np.random.default_rng(3).normal(0.0, 1.0, 10)
    new = {sub: [v + moves[k % 10] for v in values] for k, (sub, values) in enumerate(people(0.0, 0.1).items())}
    old = older(people(0.0, 0.1, seed=2))
    found = {}
    for known, table in (("alone", None), ("sites", table_of_sites(list(sites), sites))):
        record = judged(version(new), (old, BOTH), people=table)
        found[known] = next(row for row in record.judges[0].rows if row.contrast == "pooled")
    assert (found["alone"].sites, found["sites"].sites) == (0, 10)
    widths = {name: row.inner_high_mm2 - row.inner_low_mm2 for name, row in found.items()}
    assert widths["sites"] > 1.5 * widths["alone"]


def test_holm_counts_the_rows_of_both_judges() -> None:
    """The same numbers, judged by one version or by two: the adjusted p doubles with the number of rows."""
    new, old = version(people({"T1w": 1.2}, 2.5)), people(0.0, 2.5, seed=2)
    one = judged(new, (older(old), BOTH)).judges[0].rows[0]
    two = judged(new, (older(old), ("champion",)), (older(old, "9" * 64), ("anchor",))).judges[0].rows[0]
    assert one.p_holm == pytest.approx(7 * one.p)
    assert two.p_holm == pytest.approx(min(1.0, 14 * two.p))


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
    new = version(people({c: 1.2 + k for k, c in enumerate(CONTRASTS)}, 0.2))
    record = judged(new, (older(people(0.0, 0.2, seed=2)), BOTH))
    drift = [reason for reason in record.reasons if ": drifted" in reason or "more rows" in reason]
    assert [reason.split(":")[0].rpartition(", ")[2] for reason in drift[:3]] == ["DWI", "pooled", "MToff"]
    assert drift[3] == "against champion and anchor v1: 4 more rows are drifted"


def test_six_participants_are_inconclusive_at_best_and_it_says_why() -> None:
    row = rows(people(0.0, n=6), people(0.0, n=6))["pooled"]
    assert (row.n, row.verdict) == (6, "inconclusive")
    assert "n = 6 is fewer than the 30 that are asked for" in row.why
    assert rows(people(3.0, 0.2, n=6), people(0.0, 0.2, n=6, seed=2))["pooled"].verdict == "drifted"


# Missing cases and failures ---


def test_a_missing_contrast_is_not_equivalent() -> None:
    new = people()
    for values in new.values():
        values[5] = math.nan
    found = rows(new, people())
    assert (found["DWI"].n, found["DWI"].verdict) == (0, "inconclusive")
    assert math.isnan(found["DWI"].bias_mm2)
    # A sixth of all cases counts as moved by 4 mm2.
    assert found["pooled"].smallest_margin_mm2 == pytest.approx(4.0 / 6.0)
    record = judged(version(new), (older(people()), BOTH))
    assert (record.drift, record.quality) == ("inconclusive", "worse")
    assert math.isnan(record.margin_share)


def test_missing_cases_count_at_their_worst() -> None:
    """need = (1 - q)(|b| + h) + q B: with two of 49 missing, an unchanged row needs 2/49 of 4 mm2."""
    new = people()
    for sub in ("sub-00", "sub-01"):
        new[sub][0] = math.nan
    row = rows(new, people())["T1w"]
    assert (row.n, row.missing, row.cases, row.verdict) == (47, 2, 49, "equivalent")
    assert row.smallest_margin_mm2 == pytest.approx(2 / 49 * 4.0)
    assert "2 of 49 cases are missing in a version and count as if they had moved by 4 mm²" in row.why


@pytest.mark.parametrize("how", ["no value", "no row"])
def test_the_largest_tenth_failing_does_not_turn_a_row_equivalent(how: str) -> None:
    """A row at its margin, whose five largest differences are missing, looked equivalent in 45 % of runs."""
    rng, verdicts = np.random.default_rng(0), []
    old = csa_table(people())
    for _ in range(40):
        new = old.copy()
        t1w = np.flatnonzero(new["contrast"] == "T1w")
        moved = rng.normal(1.0, 1.3, N)
        new.loc[t1w, "csa_mm2"] += moved
        worst = t1w[np.argsort(moved)[-5:]]
        new = new.assign(csa_mm2=new["csa_mm2"].mask(new.index.isin(worst))) if how == "no value" else new.drop(worst)
        verdicts.append(judge_tables(new, old).rows[0].verdict)
    assert verdicts.count("equivalent") <= 4


def test_failures_are_compared_case_by_case() -> None:
    """Five fail now and five others failed before: the totals are the same, and five are new."""
    new, old = people(), people()
    for k in range(5):
        new[f"sub-{k:02d}"][0] = math.nan
        old[f"sub-{k + 10:02d}"][0] = math.nan
    row = judged(version(new), (older(old), BOTH)).judges[0].criteria[-1]
    assert (row.new, row.old, row.difference, row.margin, row.verdict) == (5, 5, 5, 2, "not shown")
    assert "5 of 294 cases failed now and not before, 5 before and not now; at most 2 may fail newly" in row.why


@pytest.mark.parametrize(
    ("failed", "repaired", "word"),
    [(0, 0, "same"), (2, 0, "same"), (3, 0, "not shown"), (5, 0, "worse"), (0, 5, "better"), (0, 4, "same")],
)
def test_a_few_new_failures_are_allowed_and_many_are_worse(failed: int, repaired: int, word: str) -> None:
    """An exact sign test: five of five changed cases going one way have p = 1/32, four have 1/16."""
    new, old = people(), people()
    for k in range(failed):
        new[f"sub-{k:02d}"][k % 6] = math.nan
    for k in range(repaired):
        old[f"sub-{k + 20:02d}"][k % 6] = math.nan
    record = judged(version(new), (older(old), BOTH))
    assert record.judges[0].criteria[-1].verdict == word


def test_all_predictions_empty() -> None:
    record = judged(version({sub: [math.nan] * 6 for sub in people()}), (older(people()), BOTH))
    assert (record.drift, record.quality, record.passed) == ("inconclusive", "worse", False)


@settings(max_examples=60)
@given(
    n=st.integers(30, 60),
    mean=st.floats(-1.0, 1.0),
    sd=st.floats(0.05, 3.0),
    margin=st.floats(0.1, 1.4),
    seed=st.integers(0, 1000),
)
def test_equivalence_is_the_paired_tost_of_statsmodels(
    n: int, mean: float, sd: float, margin: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    old = rng.normal(76, 6, n)
    new = old + rng.normal(mean, sd, n)
    tables = [csa_table({f"s{k:02d}": [v] for k, v in enumerate(values)}, ["T1w"]) for values in (new, old)]

    def row(width: float) -> DriftRow:
        metric = METRIC.model_copy(update={"margin_contrast_mm2": width})
        found = judge_tables(*tables, RULE30.model_copy(update={"metrics": [metric]}), ["T1w"])
        first: DriftRow = found.rows[0]
        return first

    found = row(margin)
    assert (found.verdict == "equivalent") == (ttost_paired(new, old, -margin, margin)[0] < 0.05)
    need = found.smallest_margin_mm2
    assert (row(need * 1.001).verdict, row(need * 0.999).verdict == "equivalent") == ("equivalent", False)
    assert found.p == pytest.approx(stats.ttest_rel(new, old).pvalue)


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


@pytest.mark.parametrize(
    ("grown", "spread", "word"),
    [(0.0, 0.2, "same"), (-1.0, 0.2, "better"), (1.0, 0.2, "worse"), (0.2, 0.2, "same"), (0.0, 3.0, "not shown")],
)
def test_a_criterion_has_four_words(grown: float, spread: float, word: str) -> None:
    rng = np.random.default_rng(0)
    old = rng.normal(2.0, 0.3, N)
    noise = rng.normal(0.0, spread, N)
    row = criterion((old + grown + noise - noise.mean()).tolist(), old.tolist())
    assert row.verdict == word
    assert ("larger (p" in row.why) == (word == "worse"), "no 'larger' where it is not shown"


def test_quality_is_not_decided_on_two_participants() -> None:
    row = criterion([2.0, 2.0], [2.0, 2.0])
    assert (row.verdict, row.n) == ("not shown", 2)
    assert "n = 2 is fewer than the 30 that are asked for" in row.why


@settings(max_examples=40)
@given(mean=st.floats(-0.5, 0.5), sd=st.floats(0.05, 1.0), margin=st.floats(0.05, 0.5), seed=st.integers(0, 1000))
def test_not_worse_is_the_one_sided_test_against_the_margin(mean: float, sd: float, margin: float, seed: int) -> None:
    """Non-inferiority: the hypothesis that it grew by the margin or more is rejected at alpha."""
    rng = np.random.default_rng(seed)
    old = rng.normal(2.0, 0.5, N)
    new = old + rng.normal(mean, sd, N)
    found = criterion(new.tolist(), old.tolist(), RULE30.model_copy(update={"csa_std_margin_mm2": margin}))
    p = stats.ttest_1samp(new - old, margin, alternative="less").pvalue
    assert (found.verdict in {"better", "same"}) == (p < 0.05)
    assert (found.verdict == "better") == (
        p < 0.05 and stats.ttest_rel(new, old).pvalue < 0.05 and found.difference < 0
    )
    grown = stats.ttest_rel(new, old, alternative="greater").pvalue
    assert (found.verdict == "worse") == (p >= 0.05 and grown < 0.05)


def test_one_side_is_tested_at_alpha() -> None:
    """Two participants, 0 and 0.1 mm2 more: mean 0.05, standard error 0.05, t 6.31 one-sided and 12.71 two-sided.

    The upper end is 0.37 mm2 one-sided, which is below the margin of 0.5, and 0.69 mm2 two-sided, which is not.
    """
    rule = RULE.model_copy(update={"csa_std_margin_mm2": 0.5, "min_participants": 2})
    row = criterion([2.0, 2.1], [2.0, 2.0], rule)
    assert row.high == pytest.approx(0.05 + 0.05 * 12.7062, abs=1e-4)
    assert row.verdict == "same"
    tight = rule.model_copy(update={"csa_std_margin_mm2": 0.36})
    assert criterion([2.0, 2.1], [2.0, 2.0], tight).verdict == "not shown"


def test_the_csa_error_is_compared_over_the_same_cases() -> None:
    """The candidate failed one case in which the judge was very wrong; all common cases are identical."""
    new, old = people(0.0), people(0.0)
    for sub in list(new)[:2]:
        old[sub][0] = 90.0
        new[sub][0] = math.nan
    row = judged(version(new), (older(old), BOTH)).judges[0].criteria[1]
    assert (row.criterion, row.difference, row.verdict) == ("csa_error_mm2", 0.0, "same")


def test_the_spread_is_compared_over_the_same_participants() -> None:
    new, old = people(0.0, 0.5), people(0.0, 0.5)
    for sub in list(new)[:3]:
        old[sub][1] = 99.0
        new[sub][2] = math.nan
    row = judged(version(new), (older(old), BOTH)).judges[0].criteria[0]
    assert (row.criterion, row.n, row.difference) == ("csa_std_mm2", N - 3, 0.0)


def test_a_seed_floor_widens_no_margin() -> None:
    from support.drift_factory import seed_floor

    from stages.core.drift.record.floors import Floors

    floors = Floors(runner=[], seeds=[seed_floor(0.1, csa_std_difference_mm2=5.0)])
    for more in ({}, {"floors": floors}):
        margins = [row.margin for row in judged(version(people()), (older(people()), BOTH), **more).judges[0].criteria]
        assert margins == [0.3, 0.4, 0.05, 2]


def test_without_reference_the_error_is_unknown_and_not_the_same() -> None:
    record = judged(version(people(), truth=None), (older(people()), BOTH))
    row = record.judges[0].criteria[1]
    assert (row.criterion, row.verdict, row.n) == ("csa_error_mm2", "unknown", 0)
    assert math.isnan(row.difference)
    assert (record.quality, record.passed) == ("unknown", False)


# Watched groups ---


def test_a_vendor_that_moves_by_itself_is_in_the_headline() -> None:
    """Six people of one vendor at +1.5 mm2 in every contrast hardly move the mean of 49."""
    sites = {f"sub-{k:02d}": f"site{k % 30}" for k in range(N)}
    vendors = {sub: "GE" if k % 30 < 4 else "Siemens" for k, sub in enumerate(sites)}
    moved = {
        sub: [v + (1.5 if vendors[sub] == "GE" else 0.0) for v in values] for sub, values in people(0.0, 0.6).items()
    }
    known = table_of_sites(list(sites), sites, manufacturer=vendors)
    record = judged(version(moved), (older(people(0.0, 0.6, seed=2)), BOTH), people=known)
    (watched,) = record.judges[0].watched
    assert {row.verdict for row in record.judges[0].rows} == {"equivalent"}
    assert (watched.differs, watched.moved, record.drift, record.passed) == (True, ["GE"], "inconclusive", False)
    assert "the groups of manufacturer moved differently" in record.reasons[0]
    assert "manufacturer GE by itself moved by a year of disease or more" in record.reasons[1]
    unwatched = judged(
        version(moved), (older(people(0.0, 0.6, seed=2)), BOTH), people=known,
        rule=RULE30.model_copy(update={"watched": []}),
    )  # fmt: skip
    assert unwatched.drift == "equivalent"


# The soft series ---


def test_the_secondary_series_is_shown_and_decides_nothing() -> None:
    """The soft masks of the factory all measure 99 mm2 except for the candidate's, which are 2 mm2 larger."""
    new = version(people())
    soft = new.measures["kind"] == "soft"
    new = replace(new, measures=new.measures.assign(csa_mm2=new.measures["csa_mm2"].where(~soft, 101.0)))
    new.measures.loc[soft, "levels"] = "C2-C3"
    old = older(people())
    old.measures.loc[old.measures["kind"] == "soft", "levels"] = "C2-C3"
    record = judged(new, (old, BOTH))
    (soft_rows,) = record.judges[0].secondary
    assert (soft_rows.metric, soft_rows.drift, record.drift) == ("csa_mm2 C2-C3 soft", "drifted", "equivalent")
    first = RULE30.model_copy(
        update={
            "metrics": [
                m.model_copy(update={"role": "primary" if m.kind == "soft" else "secondary"}) for m in RULE.metrics
            ]
        }
    )
    assert judged(new, (old, BOTH), rule=first).drift == "drifted", "where the declaration names it the primary one"
