"""Statistics of drift against hand-worked examples and scipy, and the record of a comparison."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.drift_factory import CONTRASTS, FLAT, RULE, SERIES, csa_table, older, run, version

from stages.core.base.files import write_csv, write_json
from stages.core.drift.judgement.comparison import compare
from stages.core.drift.statistics.bias import bias_of_contrast, pair, pooled_bias, t_interval
from stages.core.drift.statistics.csa_std import csa_std, summarise
from stages.core.drift.statistics.quality import quality
from stages.core.drift.versions.folders import read_version
from stages.core.drift.versions.version import Prior

pytestmark = pytest.mark.slow

# CSA STD -----------------------------------------------------------------------------------------------------------


def test_csa_std_by_hand() -> None:
    """1..6 has variance 17.5 / 5 = 3.5 with ddof 1 (2.9167 with ddof 0)."""
    table = csa_std(csa_table({"sub-a": [1, 2, 3, 4, 5, 6], "sub-b": [80.0] * 6}), CONTRASTS)
    assert table["csa_std_mm2"].tolist() == pytest.approx([math.sqrt(3.5), 0.0])
    assert table["n_contrasts"].tolist() == [6, 6]


def test_csa_std_wants_every_contrast() -> None:
    missing = csa_table({"sub-a": [1, 2, 3, 4, 5, math.nan], "sub-b": [1, 2, 3, 4, 5, 6]})
    table = csa_std(missing.drop(index=11), CONTRASTS)  # sub-b has no row at all for its last contrast
    assert table["csa_std_mm2"].isna().all()
    assert table["n_contrasts"].tolist() == [5, 5]
    assert summarise(table["csa_std_mm2"]).n == 0


def test_summaries_of_few() -> None:
    none, one = summarise(pd.Series([], dtype=float)), summarise(pd.Series([4.0, math.nan]))
    assert math.isnan(none.mean)
    assert none.n == 0
    assert (one.mean, one.n) == (4.0, 1)
    assert math.isnan(one.sd)


# Bias --------------------------------------------------------------------------------------------------------------


def test_t_interval_of_a_textbook_sample() -> None:
    """Student (1908), doi:10.2307/2331554: extra sleep of ten patients, mean 1.58, SD 1.23, t = 4.06."""
    extra = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    low, high = t_interval(extra, 0.05)
    # R's sleep data, t.test(paired = TRUE): 95 percent confidence interval 0.7001142 2.4598858.
    assert (low, high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)


def test_t_interval_against_scipy() -> None:
    values = np.random.default_rng(3).normal(1, 2, 17)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert t_interval(values, 0.1) == pytest.approx((expected.low, expected.high))


def test_t_interval_of_few_and_of_equal_values() -> None:
    assert all(math.isnan(end) for end in t_interval(np.array([1.0]), 0.05))
    assert t_interval(np.zeros(6), 0.05) == (0.0, 0.0)


def test_bias_is_new_minus_old() -> None:
    old = csa_table({"sub-a": [70.0] * 6, "sub-b": [80.0] * 6})
    new = csa_table({"sub-a": [71.0] * 6, "sub-b": [82.0] * 6})
    bias = bias_of_contrast(pair(new, old), "T2w", 0.05)
    assert (bias.n, bias.bias_mm2, bias.dropped) == (2, 1.5, 0)
    assert bias.bias_percent == pytest.approx(100 * 1.5 / 75)
    assert bias.sd_mm2 == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(("bias", "months"), [(-1.4, 12.0), (0.7, -6.0), (0.0, 0.0)])
def test_a_smaller_cord_looks_like_atrophy(bias: float, months: float) -> None:
    shifted = {sub: [v + bias for v in values] for sub, values in FLAT.items()}
    record = run(version(shifted), older(FLAT)).drift.priors[0]
    assert record.pooled.atrophy_months == pytest.approx(months)
    assert record.contrasts["DWI"].atrophy_months == pytest.approx(months)


def test_pooling_takes_participants_as_clusters() -> None:
    """Six equal contrasts of a participant are one observation: n = 3 and the interval of three values."""
    old = csa_table({"sub-a": [70.0] * 6, "sub-b": [80.0] * 6, "sub-c": [75.0] * 6})
    new = csa_table({"sub-a": [71.0] * 6, "sub-b": [82.0] * 6, "sub-c": [78.0] * 6})
    bias = pooled_bias(pair(new, old), 4, 0.05)
    assert (bias.n, bias.bias_mm2) == (3, 2.0)
    assert bias.ci_low_mm2 == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-5)


def test_pooling_drops_and_counts_those_with_few_contrasts() -> None:
    gone = math.nan
    old = csa_table({"sub-a": [70, 70, 70, gone, gone, 70], "sub-b": [80, 80, 80, 80, 80, gone], "sub-c": [60.0] * 6})
    new = csa_table({"sub-a": [70, 70, 70, 70, 70, gone], "sub-b": [81, 81, 81, 81, gone, 95], "sub-c": [63.0] * 6})
    bias = pooled_bias(pair(new, old), 4, 0.05)  # sub-a has three pairs, sub-b four
    assert (bias.n, bias.bias_mm2, bias.dropped) == (2, 2.0, 1)
    of_one = bias_of_contrast(pair(new, old), "DWI", 0.05)
    assert (of_one.n, of_one.bias_mm2, of_one.dropped) == (1, 3.0, 2)
    assert math.isnan(of_one.ci_low_mm2)


def test_sessions_of_a_participant_count_once() -> None:
    """sub-a moves by 1 in six contrasts, and in a second session with one contrast by 7: T1w 4, the others 1."""
    old = csa_table({"sub-a": [70.0] * 6, "sub-b": [70.0] * 6})
    new = old.assign(csa_mm2=71.0)
    second = old[(old["participant"] == "sub-a") & (old["contrast"] == "T1w")].assign(session="ses-2")
    pairs = pair(pd.concat([new, second.assign(csa_mm2=77.0)]), pd.concat([old, second]))
    bias = pooled_bias(pairs, 4, 0.05)
    assert (bias.n, bias.bias_mm2) == (2, pytest.approx((9 / 6 + 1) / 2))
    assert bias_of_contrast(pairs, "T1w", 0.05).bias_mm2 == pytest.approx((4 + 1) / 2)


def test_nothing_in_common_is_nan_and_not_zero() -> None:
    bias = pooled_bias(pair(csa_table({"sub-a": [70.0] * 6}), csa_table({"sub-b": [70.0] * 6})), 4, 0.05)
    assert (bias.n, bias.dropped) == (0, 2)
    assert math.isnan(bias.bias_mm2)


# Quality -----------------------------------------------------------------------------------------------------------


def test_quality_counts_what_it_averages() -> None:
    csa = csa_table({"sub-a": [70, math.nan], "sub-b": [71, 72]}, ["T1w", "DWI"])
    csa["failed"] = csa["csa_mm2"].isna()
    table = pd.DataFrame(
        {
            "dataset": "set",
            "participant": ["sub-a", "sub-a", "sub-b", "sub-b"],
            "contrast": ["T1w", "DWI", "T1w", "DWI"],
            "dice": [0.9, math.nan, 0.8, 0.0],
            "rve_percent": [-4.0, math.nan, 2.0, -100.0],
            "assd_mm": [0.2, math.nan, 0.4, math.nan],
            "hd95_mm": [1.0, math.nan, 2.0, math.nan],
            "csa_error_mm2": [1, math.nan, 2, 3],
        }
    )
    result = quality(table, csa, ["T1w", "DWI"]).set_index("contrast")
    nan = math.nan
    rows = {
        "T1w": [2, 0, 2, 0.85, 0.8, 2, -1, 2, 0.3, 1.5, 2, 1.5],
        "DWI": [2, 1, 1, 0, 0, 1, -100, 0, nan, nan, 1, 3],
        "all": [4, 1, 3, 1.7 / 3, 0, 3, -34, 2, 0.3, 1.5, 2, 1.75],  # CSA error: sub-a 1, sub-b the mean of 2 and 3
    }
    for name, row in rows.items():
        assert result.loc[name].tolist() == pytest.approx(row, nan_ok=True)


def test_a_version_from_before_a_column_has_no_value_there(tmp_path: Path) -> None:
    old = version(FLAT)
    write_csv(tmp_path / "measures.csv", old.measures)
    write_csv(tmp_path / "agreement.csv", old.agreement.drop(columns=["assd_mm", "hd95_mm"]))
    write_json(tmp_path / "summary.json", asdict(SERIES))
    found = run(version(FLAT), replace(read_version(tmp_path), series=replace(SERIES, bundle="a" * 64)))
    prior = next(item for item in found.drift.versions if item.role == "prior")
    assert (prior.assd_mm, prior.n_surface) == (pytest.approx(math.nan, nan_ok=True), 0)
    assert prior.dice_mean == pytest.approx(0.95)


# The comparison ----------------------------------------------------------------------------------------------------


def test_the_first_version_has_nothing_to_be_compared_with() -> None:
    result = run(version(FLAT))
    assert result.drift.against is None
    assert result.drift.priors == []
    assert result.bias.empty
    assert [v.role for v in result.drift.versions] == ["reference", "candidate"]
    assert set(result.csa_std["version"]) == {"reference", "b" * 64}


def test_a_constant_shift_is_found_and_nothing_else() -> None:
    grown = {sub: [value + 0.4 for value in row] for sub, row in FLAT.items()}
    result = run(version(grown), older(FLAT))
    pooled = result.drift.priors[0].pooled
    assert pooled.bias_mm2 == pytest.approx(0.4)
    assert pooled.ci_low_mm2 == pytest.approx(0.4)
    assert pooled.n == 5
    for version_record in result.drift.versions:
        assert version_record.csa_std_mean_mm2 == pytest.approx(0.0, abs=1e-9)
    assert (result.drift.rule.margin_pooled_mm2, result.drift.rule.margin_of("T1w"), result.drift.rule.alpha) == (
        0.65,
        1.0,
        0.05,
    )


def test_identical_versions_do_not_differ() -> None:
    pooled = run(version(FLAT), older(FLAT)).drift.priors[0].pooled
    assert (pooled.bias_mm2, pooled.sd_mm2, pooled.ci_low_mm2, pooled.ci_high_mm2) == (0, 0, 0, 0)


def test_the_ground_truth_counts_once() -> None:
    """Both versions bring the same reference rows; pooling them would shrink its spread."""
    result = run(version(FLAT), older(FLAT))
    assert (result.csa_std["version"] == "reference").sum() == 5
    assert [v.role for v in result.drift.versions] == ["reference", "prior", "candidate"]


def test_another_range_cannot_be_set_beside_it() -> None:
    result = run(version(FLAT), older(FLAT, range="C3-C4"))
    record = result.drift.priors[0]
    assert record.comparable is False
    assert "measured at C3-C4, here the range is C2-C3" in record.why
    assert record.pooled is None
    assert result.drift.against is None
    assert result.bias.empty


@pytest.mark.parametrize(
    ("change", "mark", "reason"),
    [
        ({"frozen": "g" * 64}, "other frozen set", "another frozen set (gggggggggggg, here ffffffffffff)"),
        ({"ruler": "q" * 64}, "other ruler", "another ruler"),
    ],
)
def test_what_may_not_judge_is_shown_and_marked(change: dict[str, str], mark: str, reason: str) -> None:
    moved = {sub: [v + 3.0 for v in values] for sub, values in FLAT.items() if sub != "sub-4"}
    prior = older(moved, **change)
    arguments = {"contrasts": CONTRASTS, "rule": RULE, "offline": False}
    result = compare(version(FLAT), [Prior(prior.series, "v1", ("champion",), prior)], **arguments)
    record = result.drift.priors[0]
    assert (record.comparable, record.marks) == (False, [mark])
    assert reason in record.why
    assert (record.pooled.bias_mm2, record.pooled.n) == (pytest.approx(-3.0), 4)
    assert result.drift.against is None
    assert [v.marks for v in result.drift.versions] == [[], [mark], []]
    verdict = result.drift.verdict
    assert (verdict.drift, verdict.judges[0].rows) == ("inconclusive", [])


def test_the_use_of_the_frozen_set_is_counted() -> None:
    """The candidate, and each earlier version that was measured on the same set."""
    priors = older(FLAT), older(FLAT, "c" * 64), older(FLAT, "e" * 64, frozen="g" * 64)
    assert run(version(FLAT), *priors, labels=("v1", "v2", "v3")).drift.used == 3


def test_other_inference_settings_are_compared_and_said() -> None:
    record = run(version(FLAT), older(FLAT, inference="k" * 64)).drift.priors[0]
    assert record.comparable is True
    assert "inference settings differ" in record.why


def test_a_prior_that_was_measured_again_is_named() -> None:
    before = older(FLAT)
    for remeasured in (True, False):
        prior = Prior(before.series, "v1", (), before, remeasured=remeasured)
        found = compare(version(FLAT), [prior], contrasts=CONTRASTS, rule=RULE, offline=False).drift.priors[0]
        assert found.comparable is True
        assert ("measured again with today's ruler" in found.why) == remeasured


def test_the_headline_speaks_of_the_champion_else_of_the_newest() -> None:
    first, second = older(FLAT), older(FLAT, "c" * 64)
    priors = [Prior(first.series, "v1", ("champion",), first), Prior(second.series, "v2", (), second)]
    arguments = {"contrasts": CONTRASTS, "rule": RULE, "offline": False}
    assert compare(version(FLAT), priors, **arguments).drift.against == "a" * 64
    priors[0] = replace(priors[0], aliases=())
    assert compare(version(FLAT), priors, **arguments).drift.against == "c" * 64


def test_a_failure_is_counted_and_is_no_area() -> None:
    values = {sub: list(row) for sub, row in FLAT.items()}
    values["sub-0"][2] = math.nan
    result = run(version(values), older(FLAT))
    candidate = result.drift.versions[-1]
    assert (candidate.failed, candidate.unmeasured, candidate.n, candidate.participants) == (1, 0, 4, 5)
    assert result.drift.priors[0].contrasts["T2star"].n == 4
    assert result.drift.priors[0].pooled.n == 5
    assert result.csa["csa_mm2"].min() >= 70


def test_all_predictions_empty() -> None:
    nothing = {sub: [math.nan] * 6 for sub in FLAT}
    result = run(version(nothing), older(FLAT))
    candidate = result.drift.versions[-1]
    assert candidate.failed == 30
    assert math.isnan(candidate.csa_std_mean_mm2)
    assert math.isnan(result.drift.priors[0].pooled.bias_mm2)


def test_without_references_there_is_no_ground_truth() -> None:
    result = run(version(FLAT, truth=None))
    assert [v.role for v in result.drift.versions] == ["candidate"]
    assert math.isnan(result.drift.versions[0].dice_mean)


def test_the_record_repeats() -> None:
    values = {"sub-0": [70.0] * 6}  # one participant: SD and intervals are undefined
    texts = {json.dumps(run(version(values), older(values)).drift.model_dump(), allow_nan=False) for _ in range(2)}
    assert len(texts) == 1
