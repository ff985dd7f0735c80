"""Which conversion factors may be published: one that is less sure than the margin adds more than it takes away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..rule.settings import Compare
from ..statistics.bias import POOLED

#: Column of conversion.csv that says why a factor is not published; empty where it is.
WITHHELD = "withheld"
CSA = "csa_mm2"


def with_reasons(factors: pd.DataFrame, rule: Compare, mark: str) -> pd.DataFrame:
    """Return the factors with the column ``withheld``: why one is not to be published, ``""`` where it may.

    A factor needs as many participants as a row of the verdict, and an interval no wider than the margin of its row,
    both in percent of the mean CSA, which holds for every metric. It must also be right for small and large cords: it
    is withheld where the line's intercept is not 0 and the factor errs by more than the margin at the 10th or the 90th
    percentile of the cords. Nothing is published from a version that is marked, such as for another ruler.

    Parameters
    ----------
    factors : of one prior, as ``conversion_factors`` gives them
    rule : margins and least participants
    mark : why the two versions' numbers are not alike; ``""`` where they are
    """
    margins = _relative_margins(factors, rule)
    reasons = [_reasons(row, margins.get(str(row["contrast"]), np.nan), rule, mark) for _, row in factors.iterrows()]
    return factors.assign(**{WITHHELD: reasons})


def _relative_margins(factors: pd.DataFrame, rule: Compare) -> dict[str, float]:
    """Margin of each row as a share of the mean CSA of the old version."""
    csa, primary = factors[factors["metric"] == CSA], rule.primary
    return {
        name: (primary.margin_pooled_mm2 if name == POOLED else primary.margin_of(name)) / mean
        for name, mean in zip(csa["contrast"].astype(str), csa["old_mean"], strict=True)
        if name == POOLED or primary.contrasts is None or name in primary.contrasts
    }


def _reasons(row: pd.Series[Any], margin: float, rule: Compare, mark: str) -> str:
    if mark:
        return mark.rstrip(".")
    if row["n"] < rule.min_participants:
        return f"n = {row['n']} is fewer than {rule.min_participants}"
    half = (row["ci_high"] - row["ci_low"]) / 2.0 / row["factor"]
    if np.isnan(margin):
        return "the verdict has no row of this contrast, and so no margin"
    if not half <= margin:
        return f"its interval of ±{100 * half:.1f} % is wider than the margin, {100 * margin:.1f} %"
    away = max(abs(row[f"{size}_excess"]) / row[f"{size}_old"] for size in ("small", "large"))
    if (row["line_intercept_low"] > 0.0 or row["line_intercept_high"] < 0.0) and away > margin:
        return f"it errs by {100 * away:.1f} % for small or large cords, more than the margin, {100 * margin:.1f} %"
    return ""
