"""Distances between two groups of images, against scipy, and p values that hold what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from statsmodels.stats.multitest import multipletests

from stages.core.drift.statistics.input_shift import input_shifts, jensen_shannon, wasserstein


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=4, max_size=30))
def test_the_distance_of_numbers_is_that_of_scipy_in_standard_deviations(rows: list[tuple[int, bool]]) -> None:
    values, label = np.array([v for v, _ in rows], float), np.array([b for _, b in rows])
    found = wasserstein(values, label[None])[0]
    if label.all() or not label.any():
        assert np.isnan(found)
    elif values.std() == 0:
        assert found == 0
    else:
        assert found == pytest.approx(wasserstein_distance(values[~label], values[label]) / values.std(), abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=4, max_size=30))
def test_the_distance_of_categories_is_that_of_scipy(rows: list[tuple[str, bool]]) -> None:
    values, label = np.array([v for v, _ in rows]), np.array([b for _, b in rows])
    if label.any() and not label.all():
        shares = [[(values[own] == kind).mean() for kind in "abc"] for own in (~label, label)]
        expected = jensenshannon(*shares, base=2)
        assert jensen_shannon(values, label[None])[0] == pytest.approx(expected, abs=1e-6)


def _cohort(rng: np.random.Generator, n: int, contrasts: str = "xy", **shift: float) -> pd.DataFrame:
    """People with an image of each contrast; the second half has ``shift`` standard deviations more."""
    rows = []
    for k in range(n):
        own = rng.normal()  # of the person: images of one person are alike
        more = {name: value * (k >= n // 2) for name, value in shift.items()}
        vendor = str(rng.choice(["S", "G"]))
        rows += [
            {"dataset": "d", "participant": f"sub-{k}", "contrast": c, "vendor": vendor, "age": 40 + own}
            | {name: own + 0.1 * rng.normal() + 10 * (c == "y") + more.get(name, 0.0) for name in ("bright", "sharp")}
            for c in contrasts
        ]
    return pd.DataFrame(rows)


def _compared(table: pd.DataFrame, in_b: np.ndarray, permutations: int = 499, seed: int = 1) -> pd.DataFrame:
    found = input_shifts(table, in_b, ["bright", "sharp"], ["age"], ["vendor"], permutations, seed)
    return found.set_index("feature")


def _second_half(table: pd.DataFrame) -> np.ndarray:
    number = table["participant"].str.removeprefix("sub-").astype(int).to_numpy()
    return number >= table["participant"].nunique() // 2


def test_a_shift_that_was_put_in_is_found_in_its_feature_alone() -> None:
    table = _cohort(np.random.default_rng(3), 40, bright=2.0)
    found = _compared(table, _second_half(table))
    assert found.loc["bright", "p_holm"] < 0.05 < found.loc[["sharp", "age", "vendor"], "p_holm"].min()
    assert found.loc["bright", "distance"] > found.loc["bright", "expected"]
    assert found["p_holm"].tolist() == pytest.approx(multipletests(found["p"], method="holm")[1])
    assert list(found.loc["bright", ["people_a", "people_b", "contrasts"]]) == [20, 20, 2]


def test_a_split_at_random_is_called_a_shift_in_one_of_twenty() -> None:
    """The share of false alarms over any feature is at most alpha, with images of one person that are alike."""
    rng = np.random.default_rng(5)
    alarms = 0
    for seed in range(200):
        table = _cohort(rng, 16, "xyz")
        alarms += bool((_compared(table, _second_half(table), 99, seed)["p_holm"] <= 0.05).any())
    assert 0 < alarms <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_a_contrast_of_one_group_alone_is_not_compared() -> None:
    table = _cohort(np.random.default_rng(1), 20)
    in_b = _second_half(table)
    table.loc[in_b & (table["contrast"] == "y"), "contrast"] = "z"
    assert _compared(table, in_b)["contrasts"].loc["bright"] == 1


def test_what_nobody_knows_has_no_distance() -> None:
    table = _cohort(np.random.default_rng(1), 10).assign(vendor="", age=np.nan)
    found = _compared(table, _second_half(table), 9)
    assert found.loc[["age", "vendor"], ["distance", "p", "p_holm"]].isna().all(axis=None)
    assert found.loc[["bright", "sharp"], "p_holm"].notna().all()


def test_the_same_seed_gives_the_same_table() -> None:
    table = _cohort(np.random.default_rng(2), 12)
    pd.testing.assert_frame_equal(_compared(table, _second_half(table)), _compared(table, _second_half(table)))
