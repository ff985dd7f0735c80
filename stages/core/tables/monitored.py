"""The monitored number: which rows of ``measures.csv`` a version is judged by. It is chosen here and nowhere else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from .columns import AXIAL, METRICS
from .weighted import weighted_mean

Source = Literal["prediction", "reference"]
Kind = Literal["binary", "soft"]
#: The monitored masks are binary unless the rule says otherwise: a prediction is binarised on the native grid.
KIND: Kind = "binary"
CASE = ["dataset", "participant", "session", "contrast"]
#: Flag of a mask that misses the cord of the reference.
OFF_CORD = "off_cord"
#: Flags of a range row that is a failure of the model, not a measurement.
FAILURES = ("failed", "empty_mask", OFF_CORD)
#: What the numbers of a pair are a mean over: the slices that both versions cover, or each version's own range.
COMMON, OWN = "common slices", "own range"
#: Two masks that share less than this part of the range are not compared: the case is missing.
LEAST_COMMON = 0.25


def monitored_pair(
    new: pd.DataFrame, old: pd.DataFrame, range_name: str, source: Source = "prediction", kind: Kind = KIND
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows by which two versions are compared, of each version one row per case at the monitored range.

    Where both versions have slices of a case, all metrics are means over the slices that both cover, weighted by the
    part of the range that each stands for: a mask that ends higher would else measure other vertebrae. A case without
    slices, such as one of an imported version, keeps the numbers of its own range. The column ``extent`` says which.

    Parameters
    ----------
    new, old : measures.csv of both versions
    range_name : the monitored range, such as C2-C3
    source, kind : whose masks were measured, and which
    """
    rows = [_at_range(table, range_name, source, kind) for table in (new, old)]
    if new is old:
        return rows[0].assign(extent=COMMON), rows[1].assign(extent=COMMON)
    shares = [_shares(table, source, kind) for table in (new, old)]
    common = shares[0][[*CASE, "slice"]].merge(shares[1][[*CASE, "slice"]], on=[*CASE, "slice"])
    both = shares[0][CASE].drop_duplicates().merge(shares[1][CASE].drop_duplicates(), on=CASE)
    first, second = (_over_common(row, share, common, both) for row, share in zip(rows, shares, strict=True))
    return first, second


def monitored_rows(
    measures: pd.DataFrame, range_name: str, source: Source = "prediction", kind: Kind = KIND
) -> pd.DataFrame:
    """Return such rows of one version alone, which is a pair of a version with itself.

    Parameters
    ----------
    measures : measures.csv of the version
    range_name : the monitored range, such as C2-C3
    source, kind : whose masks, and which
    """
    return monitored_pair(measures, measures, range_name, source, kind)[0]


def monitored_slices(measures: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of slices of the predictions whose vertebral level is known."""
    return measures[(measures["scope"] == "slice") & measures["level"].notna() & _series(measures, "prediction", KIND)]


def range_slices(measures: pd.DataFrame, source: Source, kind: Kind = KIND) -> pd.DataFrame:
    """Return the rows of slices of which a part lies in the monitored range and that are measurements of the cord."""
    return _shares(measures, source, kind)


def _shares(measures: pd.DataFrame, source: Source, kind: Kind) -> pd.DataFrame:
    inside = (measures["scope"] == "slice") & (measures["range_share"] > 0) & _series(measures, source, kind)
    rows = measures[inside]
    return rows[~rows["flags"].astype(str).str.contains("collapsed", regex=False)]


def _over_common(rows: pd.DataFrame, slices: pd.DataFrame, common: pd.DataFrame, both: pd.DataFrame) -> pd.DataFrame:
    """Return the range rows with the means over the common slices, for the cases of ``both``."""
    index = pd.MultiIndex.from_frame(rows[CASE])
    paired = index.isin(pd.MultiIndex.from_frame(both))
    extent = np.where(paired, COMMON, OWN)
    kept = slices.merge(common, on=[*CASE, "slice"])
    own = slices.groupby(CASE)["slice"].size()
    shared = kept.groupby(CASE)["slice"].size().reindex(own.index, fill_value=0)
    # Where no slice of a version is left out, its range row holds the same mean.
    changed = set(own.index[own.to_numpy() > shared.to_numpy()])
    out = rows.reset_index(drop=True).assign(extent=extent)
    groups = dict(tuple(kept.groupby(CASE)))
    for place, case in enumerate(index):
        if paired[place] and case in changed and out["csa_mm2"].notna().iloc[place]:
            group = groups.get(case)
            if group is not None and group["range_share"].sum() >= LEAST_COMMON:
                out.loc[place, list(METRICS)] = _means(group)
            else:
                out.loc[place, list(METRICS)] = np.nan
    return out


def _means(slices: pd.DataFrame) -> list[float]:
    weights = slices["range_share"].to_numpy(dtype=np.float64)
    return [weighted_mean(slices[name].to_numpy(dtype=np.float64), weights, axial=name in AXIAL) for name in METRICS]


def _at_range(measures: pd.DataFrame, range_name: str, source: Source, kind: Kind) -> pd.DataFrame:
    at_range = (measures["scope"] == "range") & (measures["levels"] == range_name)
    return measures[at_range & _series(measures, source, kind)]


def _series(measures: pd.DataFrame, source: Source, kind: Kind) -> pd.Series[bool]:
    return (measures["source"] == source) & (measures["kind"] == kind)


def range_csa(measures: pd.DataFrame, source: Source, range_name: str, kind: Kind = KIND) -> pd.DataFrame:
    """Return the CSA of every case of one version at the range, as :func:`csa_of` gives it.

    Parameters
    ----------
    measures : measures.csv of the version
    source, kind : whose masks, and which
    range_name : the range, such as C2-C3
    """
    return csa_of(monitored_rows(measures, range_name, source, kind))


def csa_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the CSA of every case, sorted; columns CASE, csa_mm2, failed (no mask, an empty one, or off the cord).

    Parameters
    ----------
    rows : monitored rows of one version
    """
    failed = [bool(set(str(flags).split(";")) & set(FAILURES)) for flags in rows["flags"]]
    return rows[[*CASE, "csa_mm2"]].assign(failed=failed).sort_values(CASE, ignore_index=True)


def csa_of_mask(table: pd.DataFrame) -> float:
    """Return the CSA (mm2) at the range from the table of one mask, which has one row of that scope."""
    return float(table.loc[table["scope"] == "range", "csa_mm2"].iloc[0])
