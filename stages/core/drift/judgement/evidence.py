"""What a judge's verdict is computed from: the numbers of both versions by participant, as arrays.

The comparison makes it from tables, and the simulation of the rule makes it from random numbers. All that follows is
the same code for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..statistics.bias import PERSON
from ..statistics.clustered import NO_SITE, Codes, Floats

Ints = NDArray[np.int64]
Names = NDArray[np.str_]


@dataclass(frozen=True)
class People:
    """The n participants in the order of the arrays.

    Attributes
    ----------
    index : dataset and participant
    site : code of each participant's site; ``NO_SITE`` where the table of participants names none
    groups : watched attribute -> name of each participant's group; ``""`` where it is not known
    """

    index: pd.MultiIndex
    site: Codes
    groups: Mapping[str, Names]


@dataclass(frozen=True)
class Differences:
    """New - old of one number by participant and contrast.

    Attributes
    ----------
    contrasts : names of the c columns
    value : (n, c) mm2, mean over the sessions that both versions measured; NaN where there is none
    cases : (n, c) how many sessions either version has a row of
    entered : (n, c) how many of them both versions measured
    old : (n, c) the old version's value, to state a bias in percent
    """

    contrasts: tuple[str, ...]
    value: Floats
    cases: Ints
    entered: Ints
    old: Floats


@dataclass(frozen=True)
class Failed:
    """Cases by what became of them: failed in both versions, in the new one alone, in the old one alone; and of all."""

    both: int
    new_only: int
    old_only: int
    cases: int


@dataclass(frozen=True)
class Evidence:
    """All that is known of a candidate beside one judge.

    Attributes
    ----------
    people : the n participants of the arrays
    metrics : name of a judged metric -> its differences
    criteria : name -> (n, 2) new and old value of each participant, lower is better; NaN where either has none
    failed : masks that failed
    """

    people: People
    metrics: Mapping[str, Differences]
    criteria: Mapping[str, Floats] = field(default_factory=dict)
    failed: Failed = Failed(0, 0, 0, 0)


def people_of_cases(cases: pd.DataFrame, known: pd.DataFrame, watched: Sequence[str]) -> People:
    """Return the participants of some cases, with site and groups.

    Parameters
    ----------
    cases : columns dataset, participant
    known : columns dataset, participant, site and the watched attributes (text), of the tables of participants
    watched : attributes
    """
    index = pd.MultiIndex.from_frame(cases[PERSON].drop_duplicates().sort_values(PERSON))
    table = known.drop_duplicates(PERSON).set_index(PERSON).reindex(index)
    names = [
        f"{dataset}/{_text(site)}" if _text(site) else ""
        for dataset, site in zip(index.get_level_values(0), table["site"], strict=True)
    ]
    codes = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    site = np.array([codes.get(name, NO_SITE) for name in names], dtype=np.int64)
    groups = {name: np.array([_text(value) for value in table[name]], dtype=np.str_) for name in watched}
    return People(index, site, groups)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def differences(pairs: pd.DataFrame, people: People, contrasts: Sequence[str]) -> Differences:
    """Return the differences of a number.

    Parameters
    ----------
    pairs : cases of both versions side by side, as ``pair`` in :mod:`..statistics.bias` gives them
    people : whose order the rows have
    contrasts : whose order the columns have
    """
    grouped = pairs.assign(entered=pairs["difference"].notna()).groupby([*PERSON, "contrast"])
    both = pairs.dropna(subset=["difference"]).groupby([*PERSON, "contrast"])[["difference", "old"]].mean()

    def matrix(values: pd.Series[Any], *, fill: float) -> Floats:
        wide = values.unstack("contrast")  # noqa: PD010 - one value for each participant and contrast
        return wide.reindex(index=people.index, columns=list(contrasts)).fillna(fill).to_numpy(dtype=np.float64)

    return Differences(
        tuple(contrasts),
        matrix(both["difference"], fill=np.nan),
        matrix(grouped.size(), fill=0).astype(np.int64),
        matrix(grouped["entered"].sum(), fill=0).astype(np.int64),
        matrix(both["old"], fill=np.nan),
    )


def values_by_person(table: pd.DataFrame, people: People) -> Floats:
    """Return new and old of a criterion, (n, 2), in the order of the participants.

    Parameters
    ----------
    table : columns dataset, participant, new, old; several rows of a participant count by their mean
    """
    means = table.groupby(PERSON)[["new", "old"]].mean().reindex(people.index)
    return means.where(means.notna().all(axis=1)).to_numpy(dtype=np.float64)


def failed_cases(pairs: pd.DataFrame) -> Failed:
    """Count the cases that either version failed; ``pairs`` has the columns failed_new and failed_old."""
    new, old = pairs["failed_new"].to_numpy(dtype=bool), pairs["failed_old"].to_numpy(dtype=bool)
    return Failed(int((new & old).sum()), int((new & ~old).sum()), int((~new & old).sum()), len(pairs))
