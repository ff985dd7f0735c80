"""The mean with the larger of two errors: participants apart, or sites apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stages.core.drift.statistics.clustered import NO_SITE, clustered_mean, skewness


def cr2_by_matrices(values: np.ndarray, sites: np.ndarray) -> tuple[float, float]:
    """CR2 error and Bell-McCaffrey degrees of freedom of a mean, from the matrices of their definition."""
    n = len(values)
    x = np.ones((n, 1))
    residual_maker = np.eye(n) - x @ x.T / n
    bread = 1.0 / n
    meat, columns = 0.0, []
    for site in np.unique(sites):
        of = np.flatnonzero(sites == site)
        root = np.linalg.inv(np.real(_root(residual_maker[np.ix_(of, of)])))
        score = x[of].T @ root @ (residual_maker @ values)[of]
        meat += float(score[0] ** 2)
        columns.append((residual_maker[:, of] @ root @ x[of])[:, 0] * bread)
    m = np.array(columns) @ np.array(columns).T
    return math.sqrt(bread * meat * bread), float(np.trace(m) ** 2 / (m**2).sum())


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(1, 5), min_size=3, max_size=12), seed=st.integers(0, 1000))
def test_the_error_of_sites_is_cr2_with_its_degrees_of_freedom(sizes: list[int], seed: int) -> None:
    sites = np.repeat(np.arange(len(sizes)), sizes)
    values = np.random.default_rng(seed).normal(size=len(sites))
    found = clustered_mean(values, sites, min_sites=3)
    se, df = cr2_by_matrices(values, sites)
    assert (found.se_site, found.df_site) == (pytest.approx(se), pytest.approx(df))


@given(values=st.lists(st.floats(-5, 5), min_size=3, max_size=30))
def test_without_sites_it_is_the_t_interval(values: list[float]) -> None:
    data = np.array(values)
    found = clustered_mean(data, np.full(len(data), NO_SITE), min_sites=3)
    if np.ptp(data) > 1e-6:
        low, high = stats.ttest_1samp(data, 0.0).confidence_interval(0.95)
        assert found.interval(0.05) == (pytest.approx(low), pytest.approx(high))
        assert found.p_not_zero() == pytest.approx(stats.ttest_1samp(data, 0.0).pvalue)


@pytest.mark.parametrize(
    ("sites", "used"), [([0, 0, 1, 1, 2, 2], 3), ([0, 0, 1, 1, 1, 1], 0), ([0, 0, 1, 1, 2, -1], 0)]
)
def test_sites_are_used_where_all_are_known_and_there_are_enough(sites: list[int], used: int) -> None:
    assert clustered_mean(np.arange(6.0), np.array(sites), min_sites=3).sites == used


@given(seed=st.integers(0, 200))
def test_the_larger_error_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = clustered_mean(rng.normal(size=24), np.repeat(np.arange(12), 2), min_sites=10)
    apart, together = (stats.t.ppf(0.95, df) * se for se, df in ((found.se, found.df), (found.se_site, found.df_site)))
    assert found.half_width(0.05) == pytest.approx(max(apart, together))


def test_values_that_do_not_vary_have_no_error() -> None:
    found = clustered_mean(np.full(5, 0.3), np.arange(5), min_sites=3)
    assert (found.half_width(0.05), found.p_not_zero()) == (0.0, 0.0)
    assert clustered_mean(np.zeros(5), np.arange(5), min_sites=3).p_not_zero() == 1.0
    alone = clustered_mean(np.array([1.0]), np.array([0]), min_sites=3)
    assert math.isnan(alone.half_width(0.05))
    assert math.isnan(alone.p_not_zero()), "no value shows nothing, and not that nothing moved"


def test_skewness_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=30)
    assert skewness(values) == pytest.approx(stats.skew(values))
