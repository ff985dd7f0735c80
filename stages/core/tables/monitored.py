"""The monitored number: which rows of ``measures.csv`` a version is judged by."""

from __future__ import annotations

import pandas as pd

#: The monitored series: predictions binarised on the native grid.
KIND = "binary"
CASE = ["dataset", "participant", "session", "contrast"]
#: Flags of a range row whose mask is missing or empty: a failure of the model, not a measurement.
FAILURES = ("failed", "empty_mask")


def range_csa(measures: pd.DataFrame, source: str, range_name: str) -> pd.DataFrame:
    """Return the CSA of every case at the monitored range, sorted; columns CASE, csa_mm2, failed.

    Parameters
    ----------
    source : ``prediction`` or ``reference``
    """
    chosen = measures[
        (measures["scope"] == "range")
        & (measures["levels"] == range_name)
        & (measures["source"] == source)
        & (measures["kind"] == KIND)
    ]
    failed = [bool(set(str(flags).split(";")) & set(FAILURES)) for flags in chosen["flags"]]
    table = chosen[[*CASE, "csa_mm2"]].assign(failed=failed)
    return table.sort_values(CASE, ignore_index=True)
