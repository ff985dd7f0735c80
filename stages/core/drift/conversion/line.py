"""The line that turns an older version's number into the new one's, when both carry an error.

Least squares takes the old number for exact and tilts the line towards the mean; Deming's line does not (Linnet 1993,
doi:10.1093/clinchem/39.3.424). The two versions share images, levels and ruler, so their errors are taken to be of the
same size, which makes it the orthogonal regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
#: Fewest participants of a line.
LEAST = 4


@dataclass(frozen=True)
class Line:
    """new = intercept + slope · old, over n participants; NaN where it is not defined.

    Attributes
    ----------
    intercept, intercept_low, intercept_high : in the unit of the metric, with its two-sided jackknife interval
    slope, slope_low, slope_high : without unit, likewise
    person : half-width of the prediction interval of one person at the mean of old, in the unit of the metric
    old_low, old_high : smallest and largest old value; outside nothing is known of the line
    """

    n: int
    intercept: float = math.nan
    intercept_low: float = math.nan
    intercept_high: float = math.nan
    slope: float = math.nan
    slope_low: float = math.nan
    slope_high: float = math.nan
    person: float = math.nan
    old_low: float = math.nan
    old_high: float = math.nan

    def at(self, old: float) -> float:
        """Return the new value on the line."""
        return self.intercept + self.slope * old


def deming(new: Floats, old: Floats, alpha: float) -> Line:
    """Return the line through the values of the same n participants; intervals are two-sided, 1 - alpha.

    NaN below ``LEAST`` participants, and where both values do not grow together.

    >>> line = deming(np.array([68.0, 72.0, 77.0, 81.0]), np.array([68.0, 73.0, 78.0, 83.0]), 0.05)
    >>> round(line.slope, 3), round(line.at(75.5), 3)
    (0.881, 74.5)

    Parameters
    ----------
    new, old : (n,) in the unit of the metric
    alpha : of the intervals
    """
    n = len(new)
    if n < LEAST:
        return Line(n)
    intercept, slope = _fit(_moments(new, old))
    # The jackknife of Linnet 1993: pseudo-values from the n lines that each leave one participant out.
    without = np.array([_fit(_moments(np.delete(new, k), np.delete(old, k))) for k in range(n)])
    pseudo = n * np.array([intercept, slope]) - (n - 1) * without
    error = pseudo.std(axis=0, ddof=1) / math.sqrt(n)
    t = float(stats.t.ppf(1.0 - alpha / 2.0, n - 2))
    rest = new - intercept - slope * old
    person = t * math.sqrt(float(rest @ rest) / (n - 2) * (1.0 + 1.0 / n))
    half_intercept, half_slope = (t * error).tolist()
    if not np.isfinite([half_intercept, half_slope, person]).all():
        return Line(n)
    return Line(
        n=n,
        intercept=intercept,
        intercept_low=intercept - half_intercept,
        intercept_high=intercept + half_intercept,
        slope=slope,
        slope_low=slope - half_slope,
        slope_high=slope + half_slope,
        person=person,
        old_low=float(old.min()),
        old_high=float(old.max()),
    )


def _moments(new: Floats, old: Floats) -> tuple[float, float, float, float, float]:
    spread = np.cov(old, new)
    return float(old.mean()), float(new.mean()), float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])


def _fit(moments: tuple[float, float, float, float, float]) -> tuple[float, float]:
    mean_old, mean_new, xx, yy, xy = moments
    if not xy > 0.0:
        return math.nan, math.nan
    slope = (yy - xx + math.hypot(yy - xx, 2.0 * xy)) / (2.0 * xy)
    return mean_new - slope * mean_old, slope
