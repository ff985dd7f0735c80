"""Metrics along the cord in the space of the PAM50 template, for comparison with normative tables.

The template (De Leener 2018, doi:10.1016/j.neuroimage.2017.10.041) has slices of 0.5 mm, and the published tables
(spinalcordtoolbox/PAM50-normalized-metrics) have a row for each. The first and last slice of each vertebra are taken
from the tables. C1, T12 and L1 are left out, because their ends differ between two editions of the tables.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...tables.columns import METRICS
from ..morphometry.levels import Discs
from ..morphometry.table import as_table

Floats = NDArray[np.float64]
#: Top slice of each vertebra from C2 to T12, numbered from below as in the tables. The one above begins one higher.
_TOPS = (938, 907, 870, 833, 800, 769, 735, 692, 646, 600, 551, 500, 449, 396, 342, 289, 231, 168)
FIRST_VERTEBRA, LAST_VERTEBRA = 2, 18
SCOPE = "pam50"


def template_slices(vertebra: int) -> tuple[int, int]:
    """Return first and last slice of a vertebra (2 is C2, 18 is T11) in the template, both included.

    >>> template_slices(2)
    (908, 938)

    Raises
    ------
    KeyError
        The vertebra is not in the table.
    """
    if not FIRST_VERTEBRA <= vertebra <= LAST_VERTEBRA:
        raise KeyError(vertebra)
    return _TOPS[vertebra - FIRST_VERTEBRA + 1] + 1, _TOPS[vertebra - FIRST_VERTEBRA]


def onto_template(table: pd.DataFrame, discs: Discs) -> pd.DataFrame:
    """Return rows of scope ``pam50``: every metric, interpolated linearly onto the slices of the template.

    A vertebra between two known discs is stretched or shrunk onto its slices in the template. Slices of the template
    that no measured slice of the mask reaches are left out, so nothing is extrapolated by more than half a slice.

    Parameters
    ----------
    table : rows of scope ``slice`` from :func:`.table.measure_volume`
    discs : heights of the discs in slices of the mask
    """
    slices = table[table["scope"] == "slice"]
    index = slices["slice"].to_numpy(dtype=np.float64)
    rows: list[dict[str, Any]] = []
    for vertebra in range(FIRST_VERTEBRA, LAST_VERTEBRA + 1):
        top, bottom = discs.slices.get(vertebra), discs.slices.get(vertebra + 1)
        if top is None or bottom is None or top <= bottom:
            continue
        low, high = template_slices(vertebra)
        # The centre of template slice i lies (i - low + 0.5) / n of the way up from the lower to the upper disc.
        share = (np.arange(low, high + 1) - low + 0.5) / (high - low + 1)
        height = bottom + share * (top - bottom)
        reached = np.array([bool((np.abs(index - place) <= 0.5).any()) for place in height], dtype=bool)
        between = {name: _interpolate(height, index, slices[name].to_numpy(dtype=np.float64)) for name in METRICS}
        for k in np.flatnonzero(reached):
            row: dict[str, Any] = {"scope": SCOPE, "slice": low + int(k), "level": vertebra, "kind": _kind(table)}
            rows.append(row | {name: float(values[k]) for name, values in between.items()})
    return as_table(sorted(rows, key=lambda row: int(row["slice"])))


def _interpolate(height: Floats, index: Floats, values: Floats) -> Floats:
    defined = np.isfinite(values)
    if not defined.any():
        return np.full(len(height), np.nan)
    return np.asarray(np.interp(height, index[defined], values[defined]))


def _kind(table: pd.DataFrame) -> str:
    return str(table["kind"].iloc[0])
