"""How well a version agrees with the reference: Dice, absolute CSA error, failures, each with its n."""

from __future__ import annotations

import pandas as pd

from stages.core.drift.csa_std import summarise

#: Name of the row over all contrasts.
ALL = "all"
COLUMNS = ["contrast", "cases", "failed", "n", "dice_mean", "dice_min", "n_csa", "csa_error_mm2"]


def quality(agreement: pd.DataFrame, csa: pd.DataFrame, contrasts: list[str]) -> pd.DataFrame:
    """Return one row a contrast, then one over all.

    Parameters
    ----------
    agreement : columns contrast, dice, csa_error_mm2
    csa : the version's CSA at the range, with column ``failed``
    contrasts : order of the rows

    Returns
    -------
    DataFrame
        contrast; cases and failed of them; n, dice_mean, dice_min of the cases with a reference; n_csa,
        csa_error_mm2 (mean absolute) of the cases with both CSA. NaN where n is 0.
    """
    rows = []
    for contrast in [*contrasts, ALL]:
        a = agreement if contrast == ALL else agreement[agreement["contrast"] == contrast]
        c = csa if contrast == ALL else csa[csa["contrast"] == contrast]
        dice, error = summarise(a["dice"]), summarise(a["csa_error_mm2"])
        lowest = float(a["dice"].min()) if dice.n else float("nan")
        rows.append([contrast, len(c), int(c["failed"].sum()), dice.n, dice.mean, lowest, error.n, error.mean])
    return pd.DataFrame(rows, columns=COLUMNS)
