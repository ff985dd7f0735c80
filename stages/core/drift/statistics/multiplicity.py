"""Adjusting p values for how many there are (Holm 1979, Scand J Stat 6:65)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def holm(p: Floats) -> Floats:
    """Adjust p values by Holm's method; an undefined one stays undefined and is not counted.

    The smallest of m values is multiplied by m, the next by m - 1, and so on; none becomes smaller than one before it,
    or larger than 1. Of two values the smaller is doubled:

    >>> holm(np.array([0.01, 0.5])).tolist()
    [0.02, 0.5]
    """
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    ascending = known[np.argsort(p[known], kind="stable")]
    steps = p[ascending] * np.arange(len(ascending), 0, -1)
    out[ascending] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out
