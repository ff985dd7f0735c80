"""The cases to look at first: failures, then the lowest Dice; without a reference, those that moved most."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ...model.segmentation.predictions import CaseId
from ...tables.monitored import CASE
from .wording import number

MOST = 10


@dataclass(frozen=True)
class Worst:
    """A case and what is wrong with it, in words."""

    key: CaseId
    why: str


def worst_cases(agreement: pd.DataFrame, pairs: pd.DataFrame | None, most: int = MOST) -> list[Worst]:
    """Return at most ``most`` cases, worst first.

    Parameters
    ----------
    agreement : columns CASE, dice, flags
    pairs : columns CASE, difference (mm2, new - old), or None where there is no earlier version
    """
    table = agreement[[*CASE, "dice"]].assign(
        failed=["failed" in str(flags).split(";") for flags in agreement["flags"]], difference=float("nan")
    )
    if pairs is not None:
        table = table.drop(columns="difference").merge(pairs[[*CASE, "difference"]], on=CASE, how="left")
    table = table.assign(moved=table["difference"].abs())
    table = table.sort_values(
        ["failed", "dice", "moved", *CASE], ascending=[False, True, False, *[True] * len(CASE)], kind="stable"
    )
    return [Worst(_key(row), _why(row)) for _, row in table.head(most).iterrows()]


def _key(row: pd.Series[str]) -> CaseId:
    return str(row["dataset"]), str(row["participant"]), str(row["session"]), str(row["contrast"])


def _why(row: pd.Series[float]) -> str:
    said = ["failed"] if row["failed"] else []
    if not pd.isna(row["dice"]):
        said.append(f"Dice {number(row['dice'], 3)}")
    if not pd.isna(row["difference"]):
        said.append(f"new − old {number(row['difference'], 1)} mm²")
    return ", ".join(said) or "no reference"


def worst_participant(agreement: pd.DataFrame, csa_std: pd.DataFrame) -> tuple[str, str, str, str] | None:
    """Return (dataset, participant, session, why) of the participant to look at first; None when there is nobody.

    That is the one with most failures, else the lowest mean Dice, else the largest CSA STD.
    """
    person = ["dataset", "participant", "session"]
    if agreement.empty:
        return None
    people = agreement.assign(failed=agreement["flags"].str.split(";").map(lambda flags: "failed" in flags))
    people = people.groupby(person, as_index=False).agg(failed=("failed", "sum"), dice=("dice", "mean"))
    people = people.merge(csa_std[[*person, "csa_std_mm2"]], on=person, how="left")
    if people["failed"].max() > 0:
        place, why = int(people["failed"].argmax()), f"{people['failed'].max()} failed contrast(s)"
    elif people["dice"].notna().any():
        place, why = int(people["dice"].argmin()), f"the lowest mean Dice, {number(people['dice'].min(), 3)}"
    elif people["csa_std_mm2"].notna().any():
        place = int(people["csa_std_mm2"].argmax())
        why = f"the largest CSA STD, {number(people['csa_std_mm2'].max())} mm²"
    else:
        place, why = 0, "no reference and no CSA STD to rank by"
    row = people.iloc[place]
    return str(row["dataset"]), str(row["participant"]), str(row["session"]), why
