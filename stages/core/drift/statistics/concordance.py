"""How two versions' numbers agree, person by person, which a mean difference can hide; no part of the verdict.

limits of agreement   mean difference -+ 1.96 SD (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8), each with
                      its exact interval (Carkeet 2015, doi:10.1097/OPX.0000000000000513)
slope                 of the difference on the mean of both: a bias that grows with the size of the cord
CCC                   concordance correlation (Lin 1989, doi:10.2307/2532051), interval by Fisher's z
ICC(A,1)              absolute agreement of single measurements, two-way (McGraw and Wong 1996,
                      doi:10.1037/1082-989X.1.1.30)
Wilcoxon signed-rank  p values, adjusted by Holm over the rows of one prior: did any number move?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .bias import POOLED, person_means
from .multiplicity import holm

Floats = NDArray[np.float64]
#: Share of the differences that the limits of agreement hold.
HELD = 0.95


@dataclass(frozen=True)
class Concordance:
    """Agreement of two versions over n participants, mm2 where a name says so; NaN where it is not defined.

    ``limit_*_low``, ``limit_*_high`` are the ends of the interval of that limit.
    """

    n: int
    limit_lower_mm2: float
    limit_lower_low_mm2: float
    limit_lower_high_mm2: float
    limit_upper_mm2: float
    limit_upper_low_mm2: float
    limit_upper_high_mm2: float
    slope: float
    slope_low: float
    slope_high: float
    ccc: float
    ccc_low: float
    ccc_high: float
    icc: float
    wilcoxon_p: float


COLUMNS = ["contrast", *Concordance.__dataclass_fields__, "holm_p"]


def concordance_table(pairs: pd.DataFrame, contrasts: Sequence[str], min_contrasts: int, alpha: float) -> pd.DataFrame:
    """Return the concordance of each contrast, then of all pooled by participant means; columns COLUMNS.

    Parameters
    ----------
    pairs : as ``pair`` in :mod:`.bias` gives them
    contrasts : order of the rows
    min_contrasts : fewest contrasts of a participant who is pooled
    alpha : of the two-sided intervals
    """
    rows = []
    for name in [*contrasts, POOLED]:
        chosen = pairs[pairs["contrast"].isin(list(contrasts) if name == POOLED else [name])]
        people = person_means(chosen, min_contrasts if name == POOLED else 1)
        new, old = (people[column].to_numpy(dtype=np.float64) for column in ("new", "old"))
        rows.append({"contrast": name, **asdict(concordance(new, old, alpha))})
    table = pd.DataFrame(rows)
    return table.assign(holm_p=holm(table["wilcoxon_p"].to_numpy(dtype=np.float64)))[COLUMNS]


def concordance(new: Floats, old: Floats, alpha: float) -> Concordance:
    """Compare two versions' values (mm2) of the same n participants; intervals are two-sided, 1 - alpha."""
    lower, upper = limits_of_agreement(new - old, alpha)
    return Concordance(
        len(new), *lower, *upper, *slope(new, old, alpha), *lin(new, old, alpha), icc_a1(new, old), moved(new - old)
    )


def limits_of_agreement(
    differences: Floats, alpha: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the lower and the upper limit, each followed by the two ends of its interval; NaN below two differences.

    The differences are taken to be normally distributed.
    """
    n = len(differences)
    if n < 2:
        return (math.nan,) * 3, (math.nan,) * 3
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    z = float(stats.norm.ppf(0.5 + HELD / 2.0))
    # A limit is a quantile of a normal sample: its pivot follows the noncentral t distribution.
    near, far = (
        sd / math.sqrt(n) * float(stats.nct.ppf(p, n - 1, z * math.sqrt(n))) for p in (alpha / 2, 1 - alpha / 2)
    )
    return (mean - z * sd, mean - far, mean - near), (mean + z * sd, mean + near, mean + far)


def slope(new: Floats, old: Floats, alpha: float) -> tuple[float, float, float]:
    """Return the slope of new - old on the mean of both, with its t-interval.

    NaN below three values, and where the means do not vary. The difference grows by 1 when the mean grows by 2:

    >>> slope(np.array([11.5, 14.0, 16.5]), np.array([10.5, 12.0, 13.5]), 0.05)[0]
    0.5
    """
    mean = (new + old) / 2.0
    if len(new) < 3 or not np.ptp(mean) > 0:
        return math.nan, math.nan, math.nan
    line = stats.linregress(mean, new - old)
    half = float(stats.t.ppf(1.0 - alpha / 2.0, len(new) - 2) * line.stderr)
    return float(line.slope), float(line.slope) - half, float(line.slope) + half


def lin(new: Floats, old: Floats, alpha: float) -> tuple[float, float, float]:
    """Return the concordance correlation coefficient with its interval; -1 to 1, 1 = identical.

    Moments have 1 / n, as in Lin 1989. NaN below three values or where either does not vary. The interval of a perfect
    agreement is that point; it is NaN where the two are not correlated at all.

    >>> lin(np.array([70.0, 75.0, 80.0]), np.array([70.0, 75.0, 80.0]), 0.05)
    (1.0, 1.0, 1.0)
    """
    n = len(new)
    if n < 3 or not (np.ptp(new) > 0 and np.ptp(old) > 0):
        return math.nan, math.nan, math.nan
    product = float(new.std() * old.std())
    shift = float(new.mean() - old.mean())
    r = float(np.corrcoef(new, old)[0, 1])
    ccc = 2.0 * r * product / float(new.var() + old.var() + shift**2)
    if ccc >= 1.0 - 1e-12:
        return 1.0, 1.0, 1.0
    if abs(r) < 1e-12:
        return ccc, math.nan, math.nan
    u2, room = shift**2 / product, 1.0 - ccc**2
    variance = (1 - r**2) * ccc**2 / (room * r**2) + 2 * ccc**3 * (1 - ccc) * u2 / (r * room**2)
    variance = (variance - ccc**4 * u2**2 / (2 * r**2 * room**2)) / (n - 2)
    half = float(stats.norm.ppf(1.0 - alpha / 2.0)) * math.sqrt(max(variance, 0.0))
    return ccc, math.tanh(math.atanh(ccc) - half), math.tanh(math.atanh(ccc) + half)


def icc_a1(*raters: Floats) -> float:
    """Return ICC(A,1) of two or more raters of the same n participants, from the mean squares.

    NaN below two participants, and where nothing varies.
    """
    table = np.column_stack(raters)
    n, k = table.shape
    if n < 2:
        return math.nan
    grand, people, by_rater = table.mean(), table.mean(axis=1), table.mean(axis=0)
    rows = k * float(((people - grand) ** 2).sum()) / (n - 1)
    columns = n * float(((by_rater - grand) ** 2).sum()) / (k - 1)
    rest = float(((table - people[:, None] - by_rater + grand) ** 2).sum()) / ((n - 1) * (k - 1))
    whole = rows + (k - 1) * rest + k * (columns - rest) / n
    return (rows - rest) / whole if whole > 0 else math.nan


def moved(differences: Floats) -> float:
    """Return the two-sided p of the Wilcoxon signed-rank test, in which differences of 0 are left out.

    It is 1 where all are 0, and NaN where there is no difference at all.
    """
    if not len(differences):
        return math.nan
    return float(stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0
