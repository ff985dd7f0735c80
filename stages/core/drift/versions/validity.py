"""Which masks of a version are measurements of the cord: one that misses it has an area, and the area says nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ...tables.columns import METRICS
from ...tables.monitored import CASE, FAILURES, KIND, OFF_CORD, range_slices
from .version import MeasuredVersion

COLUMNS = [*CASE, "failure", "dice", "centreline_mm"]


def validated(
    version: MeasuredVersion, min_dice: float, max_centreline_mm: float
) -> tuple[MeasuredVersion, pd.DataFrame]:
    """Return the version without the values of masks that miss the cord, and a table of all its failures.

    A mask misses the cord where its Dice with the reference is below ``min_dice``, or its centre lies farther than
    ``max_centreline_mm`` from that of the reference, in the mean of the slices of the range that both cover. Its range
    row is flagged ``off_cord`` and empty, its slices are left out, and its CSA error is NaN. A case whose reference is
    missing or empty has neither number, and stays.

    A mask that shows a third of the reference's length, and there all of it, has a Dice of 0.5: it is too short, which
    coverage tells, and not wrong.

    Returns
    -------
    tuple
        The version; and columns COLUMNS, one row for each failed case: ``failure`` is ``failed`` (no mask),
        ``empty_mask`` or ``off_cord``; ``dice`` (0 to 1) and ``centreline_mm`` are NaN where they are not known.
    """
    measures, agreement = version.measures, version.agreement
    dice = agreement.set_index(CASE)["dice"].astype(np.float64)
    away = centreline_distances(measures)
    known = pd.DataFrame({"dice": dice[~dice.index.duplicated()], "centreline_mm": away})
    predicted = measures["source"] == "prediction"
    cases = pd.MultiIndex.from_frame(measures[CASE])
    at_range = predicted & (measures["scope"] == "range") & (measures["kind"] == KIND)
    flags = {
        case: set(str(text).split(";"))
        for case, text in zip(cases[at_range], measures.loc[at_range, "flags"], strict=True)
    }
    bad = known[(known["dice"] < min_dice) | (known["centreline_mm"] > max_centreline_mm)].index
    off = [case for case in bad if not flags.get(case, set()) & set(FAILURES)]
    hit = predicted & cases.isin(off)
    kept = measures[~(hit & (measures["scope"] == "slice"))].copy()
    hit = hit[kept.index]
    numbers = [name for name in (*METRICS, "length_mm", "csa_sd_mm2") if name in kept.columns]
    kept.loc[hit, numbers] = np.nan
    kept.loc[hit, "flags"] = [
        ";".join(sorted({*str(text).split(";"), OFF_CORD} - {"", "nan"})) for text in kept.loc[hit, "flags"]
    ]
    missed = pd.MultiIndex.from_frame(agreement[CASE]).isin(off)
    valid = replace(
        version,
        measures=kept.reset_index(drop=True),
        agreement=agreement.assign(csa_error_mm2=agreement["csa_error_mm2"].where(~missed)),
    )
    rows = [
        [*case, OFF_CORD if case in set(off) else next(name for name in FAILURES if name in names)]
        for case, names in sorted(flags.items())
        if names & set(FAILURES) or case in set(off)
    ]
    table = pd.DataFrame(rows, columns=[*CASE, "failure"])
    return valid, table.merge(known.reset_index(), on=CASE, how="left")[COLUMNS]


def centreline_distances(measures: pd.DataFrame) -> pd.Series[float]:
    """Return for each case how far the prediction's centre lies from the reference's in the slice plane (mm).

    It is the mean over the slices of the range that both cover, with an index of CASE; cases without such slices, and
    tables from before the centre was recorded, have no row or NaN.
    """
    place = [*CASE, "slice"]
    new, old = (range_slices(measures, source)[[*place, "x_mm", "y_mm"]] for source in ("prediction", "reference"))
    both = new.merge(old, on=place, suffixes=("", "_reference"))
    distance = np.hypot(
        (both["x_mm"] - both["x_mm_reference"]).astype(np.float64),
        (both["y_mm"] - both["y_mm_reference"]).astype(np.float64),
    )
    means: pd.Series[float] = both.assign(distance=distance).groupby(CASE)["distance"].mean()
    return means
