"""The column ``flags`` of the tables: names joined by ``;`` in alphabetical order."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def join_flags(flags: set[str]) -> str:
    """Return flags as one text, sorted and separated by semicolons."""
    return ";".join(sorted(flags))


def with_checks(flags: str, checks: Iterable[str]) -> str:
    """Add the names of checks that warn of a file to its flags.

    >>> with_checks("border", ["forms-disagree"])
    'border;check:forms-disagree'
    """
    return join_flags((set(flags.split(";")) | {f"check:{name}" for name in checks}) - {""})


def table_with_checks(table: pd.DataFrame, checks: Iterable[str]) -> pd.DataFrame:
    """Return the table with the names of checks added to the flags of every row."""
    names = list(checks)
    return table.assign(flags=[with_checks(str(flags), names) for flags in table["flags"]])
