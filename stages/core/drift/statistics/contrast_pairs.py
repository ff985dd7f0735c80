"""How the contrasts of one version agree, two by two: a contrast-agnostic model measures the same in all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .bias import PERSON

COLUMNS = ["contrast_x", "contrast_y", "n", "difference_mm2", "sd_mm2", "slope", "intercept_mm2", "r2"]


def contrast_pairs(csa: pd.DataFrame, contrasts: Sequence[str]) -> pd.DataFrame:
    """Compare the CSA of every two contrasts over the n participants that both were measured in.

    Parameters
    ----------
    csa : columns dataset, participant, session, contrast, csa_mm2; several sessions count once, by their mean

    Returns
    -------
    DataFrame
        COLUMNS, a row for each pair in the order of ``contrasts``. ``difference_mm2`` is the mean of y - x with
        ``sd_mm2`` (ddof 1); slope, intercept and r2 are of the least-squares line y = intercept + slope x, NaN below
        three participants or where x does not vary. The line treats x as exact: its slope is below 1 where both are
        noisy, so that it is compared between versions and not with 1.
    """
    people = csa.groupby([*PERSON, "contrast"])["csa_mm2"].mean().unstack("contrast")  # noqa: PD010 - one value each
    people = people.reindex(columns=list(contrasts))
    rows = []
    for x, y in combinations(contrasts, 2):
        both = people[[x, y]].dropna().to_numpy(dtype=np.float64)
        difference = both[:, 1] - both[:, 0]
        mean = float(difference.mean()) if len(both) else math.nan
        sd = float(difference.std(ddof=1)) if len(both) > 1 else math.nan
        rows.append([x, y, len(both), mean, sd, *line(both[:, 0], both[:, 1])])
    return pd.DataFrame(rows, columns=COLUMNS)


def line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return slope, intercept (mm2) and r2 of the least-squares line; r2 is NaN where y does not vary.

    >>> line(np.array([1.0, 2.0, 3.0]), np.array([5.0, 5.0, 5.0]))
    (0.0, 5.0, nan)
    """
    if len(x) < 3 or not np.ptp(x) > 0:
        return math.nan, math.nan, math.nan
    if not np.ptp(y) > 0:
        return 0.0, float(y[0]), math.nan
    found = stats.linregress(x, y)
    return float(found.slope), float(found.intercept), float(found.rvalue**2)
