"""Conversion factors from an older version's numbers to the new one's, for studies that span both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.core.columns import METRICS
from stages.core.drift.bias import PERSON, POOLED, t_interval
from stages.core.drift.versions import CASE, KIND

#: Metrics that a factor makes sense for: sizes and ratios above 0. Angles are not multiplied.
SCALED = tuple(name for name in METRICS if not name.endswith("_deg"))
COLUMNS = ["metric", "contrast", "n", "factor", "ci_low", "ci_high", "ratio_of_means"]


def conversion_factors(
    new: pd.DataFrame, old: pd.DataFrame, range_name: str, contrasts: Sequence[str], alpha: float
) -> pd.DataFrame:
    """Mean over participants of new / old, by metric and contrast, then pooled; multiply old numbers by it.

    Parameters
    ----------
    new, old : measures.csv of both versions
    range_name : the monitored range, such as C2-C3

    Returns
    -------
    DataFrame
        COLUMNS. ``factor`` is the mean of the participants' own ratios with its t-interval, ``ratio_of_means`` the
        ratio of both means over the same participants. Pooled: a participant's ratio is the mean over the contrasts
        that both versions measured. NaN below one participant, intervals below two.
    """
    both = _range_rows(new, range_name).merge(_range_rows(old, range_name), on=CASE, suffixes=("_new", "_old"))
    rows = []
    for metric in SCALED:
        pairs = both[[*CASE, f"{metric}_new", f"{metric}_old"]].dropna()
        pairs = pairs[(pairs[f"{metric}_new"] > 0) & (pairs[f"{metric}_old"] > 0)]
        pairs = pairs.assign(ratio=pairs[f"{metric}_new"] / pairs[f"{metric}_old"])
        for name in [*contrasts, POOLED]:
            chosen = pairs[pairs["contrast"].isin(list(contrasts) if name == POOLED else [name])]
            people = chosen.groupby([*PERSON, "contrast"])[["ratio", f"{metric}_new", f"{metric}_old"]].mean()
            people = people.groupby(level=PERSON).mean()
            ratios = people["ratio"].to_numpy(dtype=np.float64)
            factor = float(ratios.mean()) if len(ratios) else float("nan")
            means = people[[f"{metric}_new", f"{metric}_old"]].mean()
            of_means = float(means.iloc[0] / means.iloc[1]) if len(ratios) else float("nan")
            rows.append([metric, name, len(ratios), factor, *t_interval(ratios, alpha), of_means])
    return pd.DataFrame(rows, columns=COLUMNS)


def _range_rows(measures: pd.DataFrame, range_name: str) -> pd.DataFrame:
    chosen = (measures["scope"] == "range") & (measures["levels"] == range_name)
    chosen &= (measures["source"] == "prediction") & (measures["kind"] == KIND)
    return measures.loc[chosen, [*CASE, *SCALED]].astype(dict.fromkeys(SCALED, np.float64))
