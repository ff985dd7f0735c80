"""The weighted mean of a metric over slices, for directions too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64], *, axial: bool) -> float:
    """Return the weighted mean of the defined values; ``axial`` values are directions in degrees modulo 180.

    The directions 80 and -80 degrees differ by 20 degrees, and their mean is 90 and not 0:

    >>> weighted_mean(np.array([1.0, 4.0]), np.array([2.0, 1.0]), axial=False)
    2.0
    >>> round(abs(weighted_mean(np.array([80.0, -80.0]), np.ones(2), axial=True)), 6)
    90.0

    Parameters
    ----------
    values : (n,) NaN where it is not defined
    weights : (n,) at least one above 0
    axial : whether the values are directions
    """
    defined = np.isfinite(values)
    if not defined.any():
        return float("nan")
    if not axial:
        return float(np.average(values[defined], weights=weights[defined]))
    doubled = np.exp(2j * np.radians(values[defined]))
    return float(np.degrees(np.angle(np.average(doubled, weights=weights[defined]))) / 2.0)
