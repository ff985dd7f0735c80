"""Did one group of participants, such as those of one vendor, move differently from the others?

The test is a one-way analysis of variance of the groups on the sites' means, because people of one site are not
independent. Six people of one vendor at +1.5 mm2 hardly show in a mean of 49; this test is made for them, and its power
says how much of such a move it would see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from .clustered import NO_SITE, Codes, Floats, clustered_mean


@dataclass(frozen=True)
class GroupMean:
    """Mean difference of a group (mm2) with its two-sided interval.

    ``power`` is the chance that the test sees this group when it alone moves by a year of disease.
    """

    name: str
    n: int
    sites: int
    mean_mm2: float
    low_mm2: float
    high_mm2: float
    power: float


@dataclass(frozen=True)
class Spread:
    """Between and within sums of squares of the groups' units (sites, or participants where sites are not known)."""

    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    means: Floats
    within: float
    df_within: int
    f: float
    p: float


def spread_of_groups(values: Floats, sites: Codes, groups: NDArray[np.str_]) -> Spread | None:
    """Return the analysis of variance; None where it cannot be made (one group, or no unit more than groups).

    Parameters
    ----------
    values : (n,) difference of each participant, mm2, without NaN
    sites : (n,) codes; a site of ``NO_SITE`` is unknown, and then each participant is a unit
    groups : (n,) name of each participant's group; those without a name (``""``) are left out
    """
    known = groups != ""
    values, sites, groups = values[known], sites[known], groups[known]
    if not len(values):
        return None
    names, code = np.unique(groups, return_inverse=True)
    if (sites == NO_SITE).any():
        unit_means, unit_group = values, code
    else:
        # A site whose people belong to two groups is one unit in each of them.
        _, unit = np.unique(sites * len(names) + code, return_inverse=True)
        counts = np.bincount(unit)
        unit_means = np.bincount(unit, weights=values) / counts
        unit_group = np.zeros(len(counts), dtype=np.int64)
        unit_group[unit] = code
    sizes = np.bincount(unit_group, minlength=len(names))
    df_between, df_within = len(names) - 1, len(unit_means) - len(names)
    if df_between < 1 or df_within < 1:
        return None
    means = np.bincount(unit_group, weights=unit_means, minlength=len(names)) / sizes
    within = float(((unit_means - means[unit_group]) ** 2).sum()) / df_within
    between = float((sizes * (means - unit_means.mean()) ** 2).sum()) / df_between
    if within <= 0.0:
        f, p = (math.inf, 0.0) if between > 0.0 else (math.nan, 1.0)
    else:
        f = between / within
        p = float(special.fdtrc(df_between, df_within, f))
    return Spread(tuple(map(str, names)), sizes, means, within, df_within, f, p)


def group_means(
    values: Floats, sites: Codes, groups: NDArray[np.str_], *, alpha: float, alpha_group: float, year_mm2: float
) -> list[GroupMean]:
    """Return the mean of every named group, with its interval and the power of the test for it.

    Parameters
    ----------
    values, sites, groups : as for :func:`spread_of_groups`
    alpha : of the two-sided intervals
    alpha_group : of the test
    year_mm2 : by how much a group moves for which the power is given, such as a year of disease
    """
    spread = spread_of_groups(values, sites, groups)
    out = []
    for name in sorted(set(groups.tolist()) - {""}):
        inside = groups == name
        mean = clustered_mean(values[inside], sites[inside], min_sites=2)
        power = _power(spread, name, alpha_group, year_mm2) if spread else math.nan
        out.append(
            GroupMean(name, mean.n, _count(sites[inside]), mean.mean, *mean.interval(alpha), power),
        )
    return out


def _count(sites: Codes) -> int:
    return 0 if (sites == NO_SITE).any() else len(set(sites.tolist()))


def _power(spread: Spread, name: str, alpha: float, shift_mm2: float) -> float:
    """Return the chance of p < alpha when this group alone moves by ``shift_mm2`` (noncentral F)."""
    sizes = spread.sizes.astype(np.float64)
    shifts = np.where(np.array(spread.names) == name, shift_mm2, 0.0)
    off = shifts - (sizes * shifts).sum() / sizes.sum()
    if spread.within <= 0.0:
        return 1.0
    noncentrality = float((sizes * off**2).sum()) / spread.within
    df_between = len(sizes) - 1
    limit = float(stats.f.isf(alpha, df_between, spread.df_within))
    return float(stats.ncf.sf(limit, df_between, spread.df_within, noncentrality))
