"""The line between two versions' numbers, when both carry an error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.drift.conversion.line import deming

RNG = np.random.default_rng(11)


@given(seed=st.integers(0, 10_000), n=st.integers(4, 60))
def test_it_is_the_first_principal_axis(seed: int, n: int) -> None:
    """Independent oracle: with errors of the same size, Deming's line is the orthogonal regression."""
    rng = np.random.default_rng(seed)
    old = rng.normal(76, 6, n)
    new = 3 + 0.93 * old + rng.normal(0, 1, n)
    line = deming(new, old, 0.05)
    if math.isnan(line.slope):
        assert np.cov(old, new)[0, 1] <= 0 or n < 6
        return
    _, axes = np.linalg.eigh(np.cov(old, new))
    assert line.slope == pytest.approx(axes[1, 1] / axes[0, 1])
    assert line.at(float(old.mean())) == pytest.approx(new.mean())


def test_errors_in_the_old_number_do_not_tilt_it() -> None:
    """Least squares finds a slope of 0.69 where the error of the old number is two thirds of the spread of cords."""
    true = RNG.normal(76, 6, 20_000)
    old, new = true + RNG.normal(0, 4, true.size), 3 + 0.933 * true + RNG.normal(0, 4, true.size)
    line = deming(new[:2000], old[:2000], 0.05)
    assert line.slope == pytest.approx(0.933, abs=0.05)
    assert np.polyfit(old, new, 1)[0] < 0.72


def test_intervals_and_the_prediction_hold_what_they_promise() -> None:
    held = np.zeros(3)
    for _ in range(1000):
        true = RNG.normal(76, 6, 50)
        old, new = true + RNG.normal(0, 0.9, 50), 3 + 0.933 * true + RNG.normal(0, 0.9, 50)
        line = deming(new[:49], old[:49], 0.05)
        one_more = abs(new[49] - line.at(float(old[49]))) <= line.person
        held += [
            line.intercept_low <= 3 <= line.intercept_high,
            line.slope_low <= 0.933 <= line.slope_high,
            one_more,
        ]
    # Three Monte-Carlo errors of 0.0069 about 0.95.
    assert np.abs(held / 1000 - 0.95).max() < 0.021


@pytest.mark.parametrize(
    ("new", "old"), [([70.0, 71.0, 72.0], [70.0, 71.0, 72.0]), ([70.0] * 6, [70.0, 71.0, 72.0, 73.0, 74.0, 75.0])]
)
def test_where_there_is_no_line_it_is_not_defined(new: list[float], old: list[float]) -> None:
    assert math.isnan(deming(np.array(new), np.array(old), 0.05).slope)
