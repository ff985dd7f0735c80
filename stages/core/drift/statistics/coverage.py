"""How much of the range the masks of two versions cover: a mask that ends too high measures other vertebrae."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...tables.monitored import CASE, FAILURES, monitored_rows


def coverage_of_cases(new: pd.DataFrame, old: pd.DataFrame, range_name: str) -> pd.DataFrame:
    """Return CASE, new, old: the part of the range that the mask of each version covers, 0 to 1.

    A failed mask has NaN, since failures are counted by themselves. So has a version whose coverage is not known, such
    as an imported one.

    Parameters
    ----------
    new, old : measures.csv of both versions
    range_name : the monitored range, such as C2-C3
    """
    tables = []
    for name, measures in (("new", new), ("old", old)):
        rows = monitored_rows(measures, range_name)
        failed = np.array(
            [bool(set(str(flags).split(";")) & {*FAILURES, "lost"}) for flags in rows["flags"]], dtype=bool
        )
        tables.append(rows[CASE].assign(**{name: rows["coverage"].astype(np.float64).where(~failed)}))
    return tables[0].merge(tables[1], on=CASE, how="outer")
