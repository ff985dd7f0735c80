"""Spread of CSA over contrasts; it is small in a model that measures the anatomy whatever the contrast is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

PERSON_SESSION = ["dataset", "participant", "session"]


@dataclass(frozen=True)
class Summary:
    """Mean and SD (ddof 1; NaN below two) of the n values that are defined."""

    mean: float
    sd: float
    n: int


def summarise(values: pd.Series[float]) -> Summary:
    """Summarise the defined values; without any, mean and SD are NaN and n is 0.

    >>> summarise(pd.Series([1.0, 3.0, float("nan")]))
    Summary(mean=2.0, sd=1.4142135623730951, n=2)
    """
    defined = values.dropna().to_numpy(dtype=np.float64)
    mean = float(defined.mean()) if len(defined) else float("nan")
    return Summary(mean, float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"), len(defined))


def paired_csa_std(new: pd.DataFrame, old: pd.DataFrame, contrasts: list[str]) -> pd.DataFrame:
    """Return the CSA STD of both versions for the participants of whom both measured all contrasts.

    Parameters
    ----------
    new, old : columns dataset, participant, session, contrast, csa_mm2; NaN where either version has no value
    contrasts : all of them must be measured

    Returns
    -------
    DataFrame
        dataset, participant, session, new, old (mm2).
    """
    sides = [
        csa_std(table, contrasts)[[*PERSON_SESSION, "csa_std_mm2"]].rename(columns={"csa_std_mm2": side})
        for side, table in (("new", new), ("old", old))
    ]
    return sides[0].merge(sides[1], on=PERSON_SESSION).dropna(subset=["new", "old"])


def csa_std(csa: pd.DataFrame, contrasts: list[str]) -> pd.DataFrame:
    """Return the SD (ddof 1) over contrasts of each participant's CSA; lower is better, 0 is full agreement.

    A cord that measures 70, 72 and 74 mm2 in three contrasts: the squares of -2, 0 and 2 add up to 8, half of it is 4,
    and the root of that is 2.

    >>> csa = pd.DataFrame({"dataset": "set", "participant": "a", "session": "", "contrast": ["T1w", "T2w", "DWI"]})
    >>> csa_std(csa.assign(csa_mm2=[70.0, 72.0, 74.0]), ["T1w", "T2w", "DWI"])["csa_std_mm2"].tolist()
    [2.0]

    Parameters
    ----------
    csa : columns dataset, participant, session, contrast, csa_mm2
    contrasts : all of them must be measured, otherwise the participant's value is NaN

    Returns
    -------
    DataFrame
        dataset, participant, session, csa_std_mm2, n_contrasts (how many are measured); one row a participant.
    """
    chosen = csa[csa["contrast"].isin(contrasts)]
    # pivot_table would average a case that stands twice, and drop a participant without any value.
    wide = chosen.pivot(index=PERSON_SESSION, columns="contrast", values="csa_mm2")  # noqa: PD010
    wide = wide.reindex(columns=sorted(contrasts))
    measured = wide.notna().sum(axis=1)
    spread = wide.std(axis=1, ddof=1).where(measured == len(contrasts))
    table = pd.DataFrame({"csa_std_mm2": spread, "n_contrasts": measured})
    return table.reset_index().sort_values(PERSON_SESSION, ignore_index=True)
