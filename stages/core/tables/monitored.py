"""The monitored number: which rows of ``measures.csv`` a version is judged by. It is chosen here and nowhere else."""

from __future__ import annotations

from typing import Literal

import pandas as pd

Source = Literal["prediction", "reference"]
#: The monitored masks are binary: a prediction is binarised on the native grid.
KIND = "binary"
CASE = ["dataset", "participant", "session", "contrast"]
#: Flags of a range row whose mask is missing or empty: a failure of the model, not a measurement.
FAILURES = ("failed", "empty_mask")


def monitored_pair(
    new: pd.DataFrame, old: pd.DataFrame, range_name: str, source: Source = "prediction"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows by which two versions are compared, of each version one row per case at the monitored range.

    Parameters
    ----------
    new, old : measures.csv of both versions
    range_name : the monitored range, such as C2-C3
    source : whose masks were measured
    """
    chosen = _at_range(new, range_name, source)
    return chosen, chosen if old is new else _at_range(old, range_name, source)


def monitored_rows(measures: pd.DataFrame, range_name: str, source: Source = "prediction") -> pd.DataFrame:
    """Return such rows of one version alone, which is a pair of a version with itself."""
    return monitored_pair(measures, measures, range_name, source)[0]


def monitored_slices(measures: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of slices of the predictions whose vertebral level is known."""
    return measures[(measures["scope"] == "slice") & measures["level"].notna() & _series(measures, "prediction")]


def _at_range(measures: pd.DataFrame, range_name: str, source: Source) -> pd.DataFrame:
    at_range = (measures["scope"] == "range") & (measures["levels"] == range_name)
    return measures[at_range & _series(measures, source)]


def _series(measures: pd.DataFrame, source: Source) -> pd.Series[bool]:
    return (measures["source"] == source) & (measures["kind"] == KIND)


def range_csa(measures: pd.DataFrame, source: Source, range_name: str) -> pd.DataFrame:
    """Return the CSA of every case of one version at the range, as :func:`csa_of` gives it."""
    return csa_of(monitored_rows(measures, range_name, source))


def csa_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the CSA of every case, sorted; columns CASE, csa_mm2, failed (the model made no mask, or an empty one).

    Parameters
    ----------
    rows : monitored rows of one version
    """
    failed = [bool(set(str(flags).split(";")) & set(FAILURES)) for flags in rows["flags"]]
    return rows[[*CASE, "csa_mm2"]].assign(failed=failed).sort_values(CASE, ignore_index=True)


def csa_of_mask(table: pd.DataFrame) -> float:
    """Return the CSA (mm2) at the range from the table of one mask, which has one row of that scope."""
    return float(table.loc[table["scope"] == "range", "csa_mm2"].iloc[0])
