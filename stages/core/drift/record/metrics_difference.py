"""The numbers of two comparisons side by side, as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What stands for a number that one of the two does not have.
ABSENT = "–"


def metrics_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return a Markdown table of every number of ``old`` and ``new`` (see ``metrics``), with new - old.

    Rows are sorted by name; units are in the names.

    Raises
    ------
    ValueError
        A value is no number.
    """
    before, after = _flat(old), _flat(new)
    rows = ["| metric | old | new | change |", "|---|---:|---:|---:|"]
    for name in sorted(before | after):
        was, now = before.get(name), after.get(name)
        change = ABSENT if was is None or now is None else _number(now - was, "+")
        rows.append(f"| `{name}` | {_cell(was)} | {_cell(now)} | {change} |")
    return "\n".join(rows)


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers by their path, such as ``bias.contrasts.T1w``; the file's schema is none of them."""
    found: dict[str, float] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        elif not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}, no number")
        elif name != "schema":
            found[name] = value
    return found


def _cell(value: float | None) -> str:
    return ABSENT if value is None else _number(value)


def _number(value: float, sign: str = "") -> str:
    """Counts as they are, measures to four decimals."""
    return f"{value:{sign}d}" if isinstance(value, int) else f"{value:{sign}.4f}"
