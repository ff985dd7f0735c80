"""Change of CSA over time: each later session of a person against the first one, by contrast."""

from __future__ import annotations

import re

import pandas as pd

from ..base.errors import SettingsError

#: change.csv, after ``schema``.
CHANGE_COLUMNS = (
    "dataset", "participant", "contrast", "session_from", "session_to", "csa_from_mm2", "csa_to_mm2", "change_mm2",
    "change_percent",
)  # fmt: skip
CHANGE_TEXT = ("dataset", "participant", "contrast", "session_from", "session_to")


def change_over_time(csa: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each later session of each person and contrast; no rows where nobody has two sessions.

    A session that was not measured has NaN and so has its change: it is shown, and not skipped. Sessions are in the
    order of their names, with numbers as numbers. How long lies between them, no table says.

    >>> csa = pd.DataFrame({"dataset": "set", "participant": "sub-1", "session": ["ses-2", "ses-10"],
    ...                     "contrast": "T2w", "csa_mm2": [80.0, 78.0]})
    >>> change_over_time(csa)[["session_from", "session_to", "change_mm2", "change_percent"]].values.tolist()
    [['ses-2', 'ses-10', -2.0, -2.5]]

    Parameters
    ----------
    csa : columns dataset, participant, session, contrast, csa_mm2; one row a mask

    Raises
    ------
    SettingsError
        There are several masks of one session and contrast.
    """
    rows: list[tuple[str | float, ...]] = []
    for key, group in csa.groupby(["dataset", "participant", "contrast"], sort=True):
        twice = group["session"][group["session"].duplicated()].tolist()
        if twice:
            raise SettingsError(
                f"{key[1]} has {int((group['session'] == twice[0]).sum())} masks of one session "
                f"({twice[0] or 'no session'}, {key[2]}); a change compares one mask of each session."
            )
        sessions = dict(zip(group["session"].astype(str), group["csa_mm2"].astype(float), strict=True))
        first, *others = sorted(sessions, key=_natural)
        before = sessions[first]
        for later in others:
            change = sessions[later] - before
            rows.append((*map(str, key), first, later, before, sessions[later], change, 100.0 * change / before))
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text) if part]
