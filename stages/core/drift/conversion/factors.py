"""What turns an older version's numbers into the new one's, for studies that span both: a factor, and a line.

The factor is the simpler one and is right where the ratio of both versions is the same for every size of cord. The line
is right also where it is not, and says by how much a single person may differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...tables.columns import METRICS
from ...tables.monitored import CASE, monitored_pair, monitored_slices
from ..statistics.bias import PERSON, POOLED, t_interval
from .line import deming

#: Metrics that cannot exceed 1: a factor above 1 would take some people beyond it.
BOUNDED = ("eccentricity", "solidity")
#: Metrics that a factor makes sense for: sizes and ratios above 0. Angles are not multiplied.
SCALED = tuple(name for name in METRICS if not name.endswith("_deg") and name not in BOUNDED)
SLICE = [*CASE, "slice"]
#: A small and a large cord: these shares of the people have a smaller one.
SMALL, LARGE = 0.1, 0.9
COLUMNS = [
    "metric", "contrast", "n", "factor", "ci_low", "ci_high", "ratio_of_means", "old_mean",
    "line_intercept", "line_intercept_low", "line_intercept_high", "line_slope", "line_slope_low", "line_slope_high",
    "person_half_width", "old_low", "old_high", "small_old", "small_excess", "large_old", "large_excess",
    "slice_n", "slice_sd", "slice_trend_per_cm", "slice_trend_low", "slice_trend_high",
]  # fmt: skip


def conversion_factors(
    new: pd.DataFrame,
    old: pd.DataFrame,
    range_name: str,
    contrasts: Sequence[str],
    min_contrasts: int,
    alpha: float,
) -> pd.DataFrame:
    """Return the factors by which old numbers are multiplied, by metric and contrast, then pooled.

    Parameters
    ----------
    new, old : measures.csv of both versions
    range_name : the monitored range, such as C2-C3
    contrasts : order of the rows
    min_contrasts : a participant with fewer contrasts is not pooled, so that the pooled factor is of the same people as
        the pooled bias
    alpha : of the two-sided intervals

    Returns
    -------
    DataFrame
        COLUMNS. ``factor`` is the mean of the participants' own ratios with its t-interval, ``ratio_of_means`` the
        ratio of both means over the same participants. Pooled: a participant's ratio is the mean over the contrasts
        that both versions measured. NaN without a participant, and intervals below two.

        ``line_intercept`` and ``line_slope`` are Deming's line new = intercept + slope · old with its intervals, known
        from ``old_low`` to ``old_high``; one person's new number lies within ``person_half_width`` of it, at 1 - alpha.
        ``small_excess`` is the factor times ``small_old`` minus the line there, and ``large_excess`` the same at
        ``large_old`` (the 10th and the 90th percentile of the old numbers): how much the factor alone errs for small
        and large cords.

        The other columns say how constant the factor is over the slices of known level: ``slice_sd`` is the mean of the
        cases' SD (ddof 1), ``slice_trend_per_cm`` the mean slope of the ratio towards the head, with its t-interval,
        over ``slice_n`` participants with a case of three slices or more. One factor serves a whole cord only where
        the trend is near 0.
    """
    ranges = [_numbers(rows, CASE) for rows in monitored_pair(new, old, range_name)]
    both = ranges[0].merge(ranges[1], on=CASE, suffixes=("_new", "_old"))
    slices = _numbers(monitored_slices(new), SLICE, "z_mm").merge(
        _numbers(monitored_slices(old), SLICE), on=SLICE, suffixes=("_new", "_old")
    )
    rows = []
    for metric in SCALED:
        over_slices = _over_slices(slices, metric)
        pairs = both[[*CASE, f"{metric}_new", f"{metric}_old"]].dropna()
        pairs = pairs[(pairs[f"{metric}_new"] > 0) & (pairs[f"{metric}_old"] > 0)]
        pairs = pairs.assign(ratio=pairs[f"{metric}_new"] / pairs[f"{metric}_old"])
        for name in [*contrasts, POOLED]:
            chosen = pairs[pairs["contrast"].isin(list(contrasts) if name == POOLED else [name])]
            people = chosen.groupby([*PERSON, "contrast"])[["ratio", f"{metric}_new", f"{metric}_old"]].mean()
            grouped = people.groupby(level=PERSON)
            people = grouped.mean()[grouped.size() >= (min_contrasts if name == POOLED else 1)]
            ratios = people["ratio"].to_numpy(dtype=np.float64)
            factor = float(ratios.mean()) if len(ratios) else float("nan")
            means = people[[f"{metric}_new", f"{metric}_old"]].mean()
            of_means = float(means.iloc[0] / means.iloc[1]) if len(ratios) else float("nan")
            row = [metric, name, len(ratios), factor, *t_interval(ratios, alpha), of_means, float(means.iloc[1])]
            row += _line(people[f"{metric}_new"], people[f"{metric}_old"], factor, alpha)
            rows.append([*row, *_constancy(over_slices, list(contrasts) if name == POOLED else [name], alpha)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _line(new: pd.Series[float], old: pd.Series[float], factor: float, alpha: float) -> list[float]:
    line = deming(np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64), alpha)
    ends = [float(old.quantile(share)) for share in (SMALL, LARGE)]
    of_ends = [number for end in ends for number in (end, factor * end - line.at(end))]
    intercept = [line.intercept, line.intercept_low, line.intercept_high]
    return [
        *intercept, line.slope, line.slope_low, line.slope_high, line.person, line.old_low, line.old_high, *of_ends
    ]  # fmt: skip


def _numbers(rows: pd.DataFrame, named: Sequence[str], *more: str) -> pd.DataFrame:
    columns = [*more, *SCALED]
    return rows[[*named, *columns]].astype(dict.fromkeys(columns, np.float64))


def _over_slices(slices: pd.DataFrame, metric: str) -> pd.DataFrame:
    """SD of the ratio, and its least-squares slope per cm, of each case with three slices or more."""
    both = slices[[*CASE, "z_mm"]].assign(ratio=slices[f"{metric}_new"] / slices[f"{metric}_old"])
    both = both[np.isfinite(both["ratio"]) & (slices[f"{metric}_old"] > 0)]
    grouped = both.groupby(CASE)
    centred = both[["z_mm", "ratio"]] - grouped[["z_mm", "ratio"]].transform("mean")
    products = both[CASE].assign(zz=centred["z_mm"] ** 2, zr=centred["z_mm"] * centred["ratio"])
    sums = products.groupby(CASE).sum()
    table = pd.DataFrame({"n": grouped.size(), "sd": grouped["ratio"].std(ddof=1), **sums})
    table = table[(table["n"] >= 3) & (table["zz"] > 0)]
    return table.assign(trend=10.0 * table["zr"] / table["zz"])[["sd", "trend"]].reset_index()


def _constancy(over_slices: pd.DataFrame, contrasts: list[str], alpha: float) -> list[float]:
    chosen = over_slices[over_slices["contrast"].isin(contrasts)]
    people = chosen.groupby([*PERSON, "contrast"])[["sd", "trend"]].mean().groupby(level=PERSON).mean()
    trends = people["trend"].to_numpy(dtype=np.float64)
    if not len(trends):
        return [0, *[float("nan")] * 4]
    return [len(trends), float(people["sd"].mean()), float(trends.mean()), *t_interval(trends, alpha)]
