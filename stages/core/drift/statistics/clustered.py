"""The mean of one number per participant, with the larger of two errors: participants apart, or sites apart.

Participants of one site share a scanner and a protocol, so that their differences resemble each other: with the error
of independent participants a "5 % test" errs in 10 to 12 %. The error of sites is the cluster-robust one with the small
-sample correction CR2 and its degrees of freedom (Bell and McCaffrey 2002, Survey Methodology 28:169; Imbens and
Kolesar 2016, doi:10.1162/REST_a_00552). Where it is the smaller one this is chance, hence the larger of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
#: Code of a participant whose site is not known.
NO_SITE = -1


@dataclass(frozen=True)
class Mean:
    """Mean of n values with its errors; NaN where it is not defined.

    Attributes
    ----------
    n : values
    sd : of the values, ddof 1; NaN below two
    se, df : standard error and degrees of freedom with independent participants
    se_site, df_site : the same with independent sites; NaN where sites are not used
    sites : how many; 0 where they are not used, because a site is unknown or there are too few
    """

    n: int
    mean: float
    sd: float
    se: float
    df: float
    se_site: float
    df_site: float
    sites: int

    def half_width(self, alpha: float) -> float:
        """Return the half-width of the one-sided (1 - alpha) bound, which is that of the (1 - 2 alpha) interval.

        >>> round(clustered_mean(np.array([1.0, 2.0, 3.0]), np.array([-1, -1, -1]), 10).half_width(0.025), 3)
        2.484
        """
        widths = [float(special.stdtrit(df, 1.0 - alpha)) * se for se, df in self._errors()]
        return max(widths, default=math.nan)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the two-sided (1 - alpha) interval."""
        half = self.half_width(alpha / 2.0)
        return self.mean - half, self.mean + half

    def p_not_zero(self) -> float:
        """Return the two-sided p of a true mean of 0, the larger of both errors' p values; NaN below two values."""
        if self.n < 2:
            return math.nan
        return min(1.0, 2.0 * self.p_above(sign=-1.0 if self.mean < 0.0 else 1.0))

    def p_above(self, sign: float = 1.0) -> float:
        """Return the one-sided p of a true mean of at most 0; with ``sign`` -1 of at least 0."""
        if self.n < 2:
            return math.nan
        above = sign * self.mean
        return max(_p_above(above, se, df) for se, df in self._errors())

    def _errors(self) -> list[tuple[float, float]]:
        if self.n < 2:
            return []
        errors = [(self.se, self.df)]
        return [*errors, (self.se_site, self.df_site)] if self.sites else errors


def _p_above(mean: float, se: float, df: float) -> float:
    if se > 0.0:
        return float(special.stdtr(df, -mean / se))
    return 0.0 if mean > 0.0 else 1.0  # values that do not vary have no error


def clustered_mean(values: Floats, sites: Codes, min_sites: int) -> Mean:
    """Return the mean of one value per participant with both errors.

    Three people at three sites: with one person each, both errors are the same.

    >>> one = clustered_mean(np.array([1.0, 2.0, 6.0]), np.array([0, 1, 2]), min_sites=3)
    >>> one.mean, round(one.se, 6) == round(one.se_site, 6), round(one.df_site, 6)
    (3.0, True, 2.0)

    Parameters
    ----------
    values : (n,) without NaN
    sites : (n,) the site of each, as a code from 0 on; ``NO_SITE`` where it is not known
    min_sites : with fewer sites, or where one is not known, sites are not used
    """
    n = len(values)
    if n < 2:
        nan = math.nan
        return Mean(n, float(values[0]) if n else nan, nan, nan, nan, nan, nan, 0)
    mean = float(values.mean())
    sd = float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0
    se, df = sd / math.sqrt(n), float(n - 1)
    counts = np.bincount(sites) if sites.min() >= 0 else np.zeros(0, dtype=np.int64)
    present = counts > 0
    if int(present.sum()) < max(min_sites, 2):
        return Mean(n, mean, sd, se, df, math.nan, math.nan, 0)
    sums = np.bincount(sites, weights=values - mean)[present]
    sizes = counts[present]
    se_site = math.sqrt(float((sums**2 / (1.0 - sizes / n)).sum())) / n if sd > 0.0 else 0.0
    return Mean(n, mean, sd, se, df, se_site, _df_of_sites(tuple(sorted(sizes.tolist()))), len(sizes))


@cache
def _df_of_sites(sizes: tuple[int, ...]) -> float:
    """Return the Bell-McCaffrey degrees of freedom of a mean over sites of these sizes: (tr M)^2 / sum M^2."""
    n_g = np.array(sizes, dtype=np.float64)
    n = n_g.sum()
    a = (1.0 - n_g / n) ** -0.5
    m = np.outer(a, a) * (np.diag(n_g) - np.outer(n_g, n_g) / n)
    return float(np.trace(m) ** 2 / (m**2).sum())


def skewness(values: Floats) -> float:
    """Return the skewness of some values (third moment over the cube of the SD, both with 1 / n); NaN below three.

    >>> skewness(np.array([1.0, 2.0, 3.0]))
    0.0
    """
    if len(values) < 3 or not np.ptp(values) > 0:
        return math.nan
    centred = values - values.mean()
    return float((centred**3).mean() / (centred**2).mean() ** 1.5)
