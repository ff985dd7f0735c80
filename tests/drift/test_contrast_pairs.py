"""Pairs of contrasts against worked examples and numpy's least squares."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.drift_factory import CONTRASTS, FLAT, csa_table, older, run, version

from stages.core.drift.statistics.contrast_pairs import contrast_pairs, line

AREAS = st.lists(st.tuples(st.floats(40, 110), st.floats(40, 110)), min_size=3, max_size=20)


def test_anscombe() -> None:
    """Anscombe 1973, doi:10.1080/00031305.1973.10478966, first set: y = 3.00 + 0.500 x, r2 = 0.67."""
    x = np.array([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], dtype=float)
    y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])
    slope, intercept, r2 = line(x, y)
    assert (slope, intercept) == pytest.approx((0.5001, 3.0001), abs=1e-4)
    assert r2 == pytest.approx(0.6665, abs=1e-4)


@given(AREAS)
def test_numpy_finds_the_same_line(areas: list[tuple[float, float]]) -> None:
    x, y = np.array(areas).T
    assume(np.ptp(x) > 0.1)
    assume(np.ptp(y) > 0.1)
    slope, intercept, r2 = line(x, y)
    assert (slope, intercept) == pytest.approx(tuple(np.polyfit(x, y, 1)), rel=1e-6, abs=1e-6)
    assert r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=1e-9)


def test_every_two_contrasts_once_over_those_who_have_both() -> None:
    table = csa_table({"sub-a": [70, 71, math.nan], "sub-b": [80, 83, 80], "sub-c": [60, 61, 61]}, CONTRASTS[:3])
    found = contrast_pairs(table, CONTRASTS[:3]).set_index(["contrast_x", "contrast_y"])
    assert found.index.tolist() == [("T1w", "T2w"), ("T1w", "T2star"), ("T2w", "T2star")]
    assert found["n"].tolist() == [3, 2, 2]
    assert found["difference_mm2"].tolist() == pytest.approx([5 / 3, 0.5, -1.5])
    assert found["sd_mm2"].tolist() == pytest.approx([math.sqrt(4 / 3), math.sqrt(0.5), math.sqrt(4.5)])
    assert found["slope"].isna().tolist() == [False, True, True]  # two points are no line


def test_sessions_count_once() -> None:
    one = csa_table({"sub-a": [70, 72], "sub-b": [80, 80]}, CONTRASTS[:2])
    again = one[one["participant"] == "sub-a"].assign(session="ses-2")
    both = contrast_pairs(pd.concat([one, again]), CONTRASTS[:2]).iloc[0]
    assert (both["n"], both["difference_mm2"]) == (2, 1.0)


def test_what_does_not_vary_has_no_line() -> None:
    flat, rising = np.full(4, 70.0), np.arange(70.0, 74.0)
    assert all(math.isnan(value) for value in line(flat, rising))
    slope, intercept, r2 = line(rising, flat)
    assert (slope, intercept) == (0.0, 70.0)
    assert math.isnan(r2)


def test_nobody_and_a_missing_contrast() -> None:
    found = contrast_pairs(csa_table({"sub-a": [70.0]}, ["T1w"]), ["T1w", "T2w"]).iloc[0]
    assert found["n"] == 0
    assert math.isnan(found["difference_mm2"])


def test_every_version_has_its_pairs() -> None:
    table = run(version(FLAT), older(FLAT)).contrast_pairs
    assert table.groupby("version").size().to_dict() == {"reference": 15, "a" * 64: 15, "b" * 64: 15}
    assert table.loc[table["version"] == "b" * 64, "slope"].tolist() == pytest.approx([1.0] * 15)
