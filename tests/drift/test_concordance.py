"""Agreement of two versions against worked examples, other libraries and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from support.drift_factory import CONTRASTS, csa_table

from stages.core.drift.statistics.bias import POOLED, pair
from stages.core.drift.statistics.concordance import (
    COLUMNS,
    concordance,
    concordance_table,
    holm,
    icc_a1,
    limits_of_agreement,
    lin,
    moved,
    slope,
)

#: Peak flow, l/min, of 17 people with a large and a mini meter, first readings (Bland and Altman 1986, table 1).
LARGE = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427], dtype=float)
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451], dtype=float)
#: Six subjects, four judges (Shrout and Fleiss 1979, table 2).
JUDGED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
RNG = np.random.default_rng(11)
OLD = RNG.normal(76.0, 7.0, 49)
NEW = OLD + RNG.normal(0.4, 1.3, 49)


def test_limits_of_bland_and_altman() -> None:
    """The paper: mean -2.1, SD 38.8; it takes 2 SD for 1.96: limits -79.7 and 75.5, the lower from -114.3 to -45.1."""
    lower, upper = limits_of_agreement(LARGE - MINI, 0.05)
    assert (lower[0], upper[0]) == (pytest.approx(-78.1, abs=0.1), pytest.approx(73.9, abs=0.1))
    assert (lower[1], lower[2]) == (pytest.approx(-114.3, abs=10.0), pytest.approx(-45.1, abs=10.0))
    assert (upper[2] - upper[0]) == pytest.approx(lower[0] - lower[1])


def test_intervals_of_the_limits_hold_the_truth() -> None:
    """Exact for normal differences: 95 % of the intervals hold mean + 1.96 SD, at n = 6 as at n = 49."""
    for n in (6, 49):
        runs = RNG.normal(0.3, 1.3, (2000, n))
        near, far = (
            stats.nct.ppf(p, n - 1, stats.norm.ppf(0.975) * math.sqrt(n)) / math.sqrt(n) for p in (0.025, 0.975)
        )
        assert limits_of_agreement(runs[0], 0.05)[1][1:] == (
            pytest.approx(runs[0].mean() + near * runs[0].std(ddof=1)),
            pytest.approx(runs[0].mean() + far * runs[0].std(ddof=1)),
        )
        mean, sd = runs.mean(axis=1), runs.std(axis=1, ddof=1)
        truth = 0.3 + 1.3 * stats.norm.ppf(0.975)
        held = np.mean((mean + near * sd <= truth) & (truth <= mean + far * sd))
        assert held == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))


def test_slope_is_the_regression_on_the_mean() -> None:
    new = 1.05 * OLD - 3.0
    assert slope(new, OLD, 0.05)[0] == pytest.approx(0.05 / 1.025)
    found = slope(NEW, OLD, 0.05)
    design = np.column_stack([np.ones(49), (NEW + OLD) / 2])
    beta, rest, _, _ = np.linalg.lstsq(design, NEW - OLD, rcond=None)
    error = math.sqrt(float(rest[0]) / 47 * np.linalg.inv(design.T @ design)[1, 1])
    assert found[0] == pytest.approx(beta[1])
    assert found[2] - found[0] == pytest.approx(stats.t.ppf(0.975, 47) * error)


def test_ccc_is_one_minus_the_expected_square_over_that_of_strangers() -> None:
    expected = 1 - np.mean((NEW - OLD) ** 2) / (NEW.var() + OLD.var() + (NEW.mean() - OLD.mean()) ** 2)
    assert lin(NEW, OLD, 0.05)[0] == pytest.approx(expected)


def test_intervals_of_ccc_hold_the_truth() -> None:
    """Normal pairs, r = 0.95, a shift of 0.4 SD: CCC = 2 * 0.95 / (2 + 0.16); at n = 49 93 to 97 % of intervals."""
    truth, held = 2 * 0.95 / 2.16, []
    for pairs in RNG.multivariate_normal([0.4, 0.0], [[1, 0.95], [0.95, 1]], (2000, 49)):
        _, low, high = lin(pairs[:, 0], pairs[:, 1], 0.05)
        held.append(low <= truth <= high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_icc_of_shrout_and_fleiss() -> None:
    """ICC(2,1) of their table 4 is 0.29: the same as ICC(A,1)."""
    assert icc_a1(*JUDGED.T) == pytest.approx(0.29, abs=0.005)


def test_wilcoxon_and_holm() -> None:
    """Depression scores before and after a tranquilliser (Hollander and Wolfe 1973, table 3.1): one-sided p 0.0195."""
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    assert moved(after - before) == pytest.approx(2 * 0.01953, abs=1e-5)
    # Six of one sign: 2 of the 64 ways to give them signs.
    assert moved(np.arange(1.0, 7.0)) == pytest.approx(2 / 64)
    # By hand: 0.01 * 3, then max(0.03, 0.02 * 2), then max(0.04, 0.03).
    assert holm(np.array([0.03, np.nan, 0.01, 0.02])) == pytest.approx([0.04, np.nan, 0.03, 0.04], nan_ok=True)
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_identical_versions_agree_perfectly() -> None:
    found = concordance(OLD, OLD, 0.05)
    assert (found.ccc, found.ccc_low, found.icc, found.wilcoxon_p) == (1.0, 1.0, pytest.approx(1.0), 1.0)
    assert (found.limit_lower_mm2, found.limit_upper_high_mm2, found.slope) == (0.0, 0.0, pytest.approx(0.0))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_are_undefined(n: int) -> None:
    found = concordance(NEW[:n], OLD[:n], 0.05)
    assert found.n == n
    assert math.isnan(found.ccc)
    assert math.isnan(found.slope)
    assert math.isnan(found.limit_upper_mm2) == (n < 2)


def test_values_that_do_not_vary_have_no_correlation() -> None:
    found = concordance(np.full(5, 71.0), np.full(5, 70.0), 0.05)
    assert math.isnan(found.ccc)
    assert math.isnan(found.slope)
    assert found.limit_lower_mm2 == found.limit_upper_mm2 == 1.0
    assert math.isnan(icc_a1(np.full(5, 70.0), np.full(5, 70.0)))


@given(st.lists(st.tuples(st.floats(40, 110), st.floats(40, 110)), min_size=3, max_size=30))
def test_bounds(values: list[tuple[float, float]]) -> None:
    new, old = np.array(values).T
    found = concordance(new, old, 0.05)
    assert found.limit_lower_low_mm2 <= found.limit_lower_mm2 <= found.limit_upper_mm2 <= found.limit_upper_high_mm2
    assert math.isnan(found.ccc) or -1.0 <= found.ccc <= 1.0 + 1e-12
    assert math.isnan(found.ccc_low) or found.ccc_low <= found.ccc + 1e-9 <= found.ccc_high + 2e-9
    assert math.isnan(found.icc) or found.icc <= 1.0 + 1e-9
    assert 0.0 <= found.wilcoxon_p <= 1.0


def test_a_row_for_each_contrast_then_pooled_by_people() -> None:
    old = {f"sub-{k}": [70.0 + k + c for c in range(6)] for k in range(8)}
    new = {sub: [v + 0.1 * c * k for c, v in enumerate(row)] for k, (sub, row) in enumerate(old.items())}
    new["sub-0"][1:] = [math.nan] * 5  # one contrast is left: in its row, not in the pooled one
    table = concordance_table(pair(csa_table(new), csa_table(old)), CONTRASTS, 4, 0.05).set_index("contrast")
    assert [*table.reset_index().columns] == COLUMNS
    assert [*table.index] == [*CONTRASTS, POOLED]
    assert table["n"].tolist() == [8, 7, 7, 7, 7, 7, 7]
    assert table["holm_p"].tolist() == pytest.approx(holm(table["wilcoxon_p"].to_numpy()).tolist())
    people = [[np.mean(rows[f"sub-{k}"]) for k in range(1, 8)] for rows in (new, old)]
    assert table.loc[POOLED, "ccc"] == pytest.approx(lin(*map(np.array, people), 0.05)[0])
