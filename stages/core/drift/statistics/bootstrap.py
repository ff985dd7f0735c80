"""Interval of a mean of values that are not normal, such as a spread: bootstrap where there are enough of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .bias import t_interval

#: From this n on: with six values bootstrap intervals cover 86 % instead of 95 %.
LEAST = 30
RESAMPLES = 9999
#: The same values give the same interval.
SEED = 1


def mean_interval(values: NDArray[np.float64], alpha: float) -> tuple[float, float]:
    """Two-sided (1 - alpha) interval of the mean: BCa bootstrap (Efron 1987, doi:10.1080/01621459.1987.10478410) from
    ``LEAST`` values on, a t-interval below; NaN below two values, one point where they do not vary."""
    if len(values) < LEAST or not np.ptp(values) > 0:
        return t_interval(values, alpha)
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=1.0 - alpha, method="BCa",
        rng=np.random.default_rng(SEED), axis=-1,
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
