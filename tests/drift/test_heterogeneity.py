"""Whether groups of participants moved differently."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stages.core.drift.statistics.heterogeneity import group_means, spread_of_groups


@given(seed=st.integers(0, 500))
def test_with_one_person_a_site_it_is_the_one_way_anova_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, groups = rng.normal(size=24), np.array(["a", "b", "c"])[rng.integers(0, 3, 24)]
    parts = [values[groups == name] for name in np.unique(groups)]
    if min(map(len, parts)) > 1 and len(parts) > 1:
        found = spread_of_groups(values, np.arange(24), groups)
        assert found is not None
        assert (found.f, found.p) == tuple(pytest.approx(value) for value in stats.f_oneway(*parts))


def test_the_units_are_sites() -> None:
    """Two people of each site with the same number are one observation."""
    values, groups = np.array([0.1, 0.4, 0.3, 1.2, 1.0, 1.5]), np.array(["a", "a", "a", "b", "b", "b"])
    single = spread_of_groups(values, np.arange(6), groups)
    double = spread_of_groups(np.repeat(values, 2), np.repeat(np.arange(6), 2), np.repeat(groups, 2))
    assert single is not None
    assert double is not None
    assert double.p == pytest.approx(single.p)


def test_a_group_without_a_name_is_left_out_and_one_group_has_no_test() -> None:
    values, sites = np.arange(4.0), np.arange(4)
    assert spread_of_groups(values, sites, np.array(["a", "a", "", ""])) is None
    found = spread_of_groups(np.arange(6.0), np.arange(6), np.array(["a", "a", "b", "b", "", ""]))
    assert found is not None
    assert found.sizes.tolist() == [2, 2]


def test_the_power_is_the_share_of_runs_that_see_it() -> None:
    """One group moves by 1.4 mm2; 400 simulated runs of the same test, with the true spread."""
    rng = np.random.default_rng(0)
    groups = np.array(["a"] * 20 + ["b"] * 5)
    seen = []
    powers = []
    for _ in range(400):
        noise = rng.normal(0.0, 1.0, 25)
        spread = spread_of_groups(noise + np.where(groups == "b", 1.4, 0.0), np.arange(25), groups)
        assert spread is not None
        seen.append(spread.p < 0.05)
        means = group_means(noise, np.arange(25), groups, alpha=0.05, alpha_group=0.05, year_mm2=1.4)
        powers.append(next(one.power for one in means if one.name == "b"))
    assert np.mean(powers) == pytest.approx(np.mean(seen), abs=0.06)
