"""CSA STD and bias in groups of participants: a version may have moved for one scanner, or for one disease, alone.

They are shown with their n and are no part of the verdict, since a frozen set holds too few people of most groups.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .bias import PERSON, t_interval
from .csa_std import summarise

#: Attributes by which participants are grouped; ``everyone`` is a group of its own, to compare the others with.
EVERYONE, ATTRIBUTES = "everyone", ("manufacturer", "sex", "age", "pathology")
#: Group of the participants of whom the table of participants says nothing.
UNKNOWN_GROUP = "not said"
#: Ages (years) at which a band begins.
AGE_BANDS = (0, 20, 40, 60)
COLUMNS = [
    "attribute", "group", "participants", "n_csa_std", "csa_std_mean_mm2", "csa_std_sd_mm2",
    "n", "bias_mm2", "sd_mm2", "ci_low_mm2", "ci_high_mm2",
]  # fmt: skip


def groups(persons: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return dataset, participant, attribute, group: one row for each participant and attribute, ``everyone`` first.

    Parameters
    ----------
    persons : columns dataset, participant; of everybody who was measured
    people : columns dataset, participant and ATTRIBUTES (text) of the table of participants
    """
    known = persons[PERSON].drop_duplicates().merge(people[[*PERSON, *ATTRIBUTES]], on=PERSON, how="left")
    known = known.assign(everyone=EVERYONE, age=[age_band(age) for age in known["age"]])
    long = known.melt(PERSON, [EVERYONE, *ATTRIBUTES], "attribute", "group")
    named = [str(group).strip() if isinstance(group, str) else "" for group in long["group"]]
    # Names are free text: one that a spreadsheet would take for a formula is quoted.
    named = [f"'{name}" if name.startswith(("=", "+", "-", "@")) else name for name in named]
    return long.assign(group=[name or UNKNOWN_GROUP for name in named])


def age_band(age: object) -> str:
    """Return the band of an age in years; an empty string where it is no age.

    >>> age_band("34"), age_band(61), age_band("n/a")
    ('20-39', '60 and older', '')
    """
    try:
        years = float(str(age))
    except ValueError:
        return ""
    if not 0 <= years < 130:  # NaN too
        return ""
    first = max(start for start in AGE_BANDS if start <= years)
    later = [start for start in AGE_BANDS if start > first]
    return f"{first}-{later[0] - 1}" if later else f"{first} and older"


def subgroups(
    membership: pd.DataFrame, spread: pd.DataFrame, differences: pd.Series[float] | None, alpha: float
) -> pd.DataFrame:
    """Return COLUMNS: one row per group, in the order of the attributes.

    Parameters
    ----------
    membership : as :func:`groups` gives it
    spread : CSA STD of one version, columns dataset, participant, csa_std_mm2
    differences : candidate - that version (mm2) by dataset and participant; None of the candidate itself
    alpha : of the two-sided intervals
    """
    people = spread.groupby(PERSON)["csa_std_mm2"].mean()
    rows = []
    for attribute in (EVERYONE, *ATTRIBUTES):
        members = membership[membership["attribute"] == attribute]
        for group in sorted(members["group"].unique(), key=lambda name: (name == UNKNOWN_GROUP, name)):
            index = pd.MultiIndex.from_frame(members.loc[members["group"] == group, PERSON])
            inside = people[people.index.isin(index)]
            csa_std = summarise(inside)
            row = [attribute, group, len(inside), csa_std.n, csa_std.mean, csa_std.sd]
            rows.append([*row, *_bias(differences, index, alpha)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _bias(differences: pd.Series[float] | None, index: pd.MultiIndex, alpha: float) -> list[float]:
    if differences is None:
        return [0, *[math.nan] * 4]
    values: NDArray[np.float64] = np.asarray(differences[differences.index.isin(index)], dtype=np.float64)
    sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return [len(values), float(values.mean()) if len(values) else math.nan, sd, *t_interval(values, alpha)]
