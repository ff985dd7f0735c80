"""Spread of CSA over contrasts: a model that reads the anatomy and not the contrast has little of it."""

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
    """Summarise the defined values; none gives NaN and n 0."""
    defined = values.dropna().to_numpy(dtype=np.float64)
    mean = float(defined.mean()) if len(defined) else float("nan")
    return Summary(mean, float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"), len(defined))


def csa_std(csa: pd.DataFrame, contrasts: list[str]) -> pd.DataFrame:
    """SD (ddof 1) over contrasts of each participant's CSA; lower is better, 0 is full agreement.

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
