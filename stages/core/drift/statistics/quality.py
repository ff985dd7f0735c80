"""How well a version agrees with the reference: overlap, volume, surfaces, CSA and failures, each with its n."""

from __future__ import annotations

import pandas as pd

from ...tables.monitored import CASE
from .csa_std import summarise

#: Name of the row over all contrasts.
ALL = "all"
COLUMNS = [
    "contrast", "cases", "failed", "n", "dice_mean", "dice_min", "n_rve", "rve_percent", "n_surface", "assd_mm",
    "hd95_mm", "n_csa", "csa_error_mm2",
]  # fmt: skip


def paired_csa_error(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
    """Return the absolute CSA error (mm2) of both versions, by case, for the cases in which both have one.

    Means over each version's own cases would differ where the same cases have the same errors.

    Parameters
    ----------
    new, old : columns CASE, csa_error_mm2, of agreement.csv

    Returns
    -------
    DataFrame
        CASE, new, old.
    """
    sides = [
        table[[*CASE, "csa_error_mm2"]].rename(columns={"csa_error_mm2": side})
        for side, table in (("new", new), ("old", old))
    ]
    both = sides[0].merge(sides[1], on=CASE).dropna(subset=["new", "old"])
    return both.assign(new=both["new"].abs(), old=both["old"].abs())


def quality(agreement: pd.DataFrame, csa: pd.DataFrame, contrasts: list[str]) -> pd.DataFrame:
    """Return one row per contrast, then one over all.

    Parameters
    ----------
    agreement : columns contrast, dice, rve_percent, assd_mm, hd95_mm, csa_error_mm2
    csa : the version's CSA at the range, with column ``failed``
    contrasts : order of the rows

    Returns
    -------
    DataFrame
        contrast; cases and failed of them; n, dice_mean, dice_min of the cases with a reference; n_rve,
        rve_percent (mean, signed) of those whose reference is not empty; n_surface, assd_mm, hd95_mm (means) of those
        with two masks; n_csa, csa_error_mm2 (mean absolute) of the participants with both CSA. NaN where n is 0.
    """
    rows = []
    for contrast in [*contrasts, ALL]:
        a = agreement if contrast == ALL else agreement[agreement["contrast"] == contrast]
        c = csa if contrast == ALL else csa[csa["contrast"] == contrast]
        dice, rve, assd, hd95 = (summarise(a[name]) for name in ("dice", "rve_percent", "assd_mm", "hd95_mm"))
        # A participant is one observation, as in the verdict on this criterion.
        error = summarise(a.groupby(CASE[:2])["csa_error_mm2"].mean())
        lowest = float(a["dice"].min()) if dice.n else float("nan")
        surfaces = [assd.n, assd.mean, hd95.mean]
        overlap = [dice.n, dice.mean, lowest, rve.n, rve.mean]
        rows.append([contrast, len(c), int(c["failed"].sum()), *overlap, *surfaces, error.n, error.mean])
    return pd.DataFrame(rows, columns=COLUMNS)
