"""The few numbers of a comparison that `dvc metrics diff` sets side by side, and a table of two such comparisons.

An undefined number is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What stands for a number that one of the two does not have.
ABSENT = "–"

#: Of the candidate's record.
OWN = (
    "csa_std_mean_mm2", "n", "dice_mean", "dice_min", "rve_percent", "hd95_mm", "csa_error_mm2", "failed", "unmeasured",
)  # fmt: skip
#: Of its pooled bias to the version that the headline speaks of.
BIAS = ("bias_mm2", "ci_low_mm2", "ci_high_mm2", "n", "atrophy_months")


def metrics(drift: Mapping[str, Any]) -> dict[str, Any]:
    """Take the numbers from the record ``drift``: ``candidate``, ``bias`` (new - old, mm2), ``passed`` (0 or 1)."""
    candidate = next(version for version in drift["versions"] if version["role"] == "candidate")
    prior = next((record for record in drift["priors"] if record["digest"] == drift["against"]), None)
    found: dict[str, Any] = {"candidate": _defined(candidate, OWN), "passed": int(drift["verdict"]["passed"])}
    if prior is not None:
        contrasts = {name: bias["bias_mm2"] for name, bias in prior["contrasts"].items()}
        found["bias"] = _defined(prior["pooled"], BIAS) | {"contrasts": _defined(contrasts, tuple(contrasts))}
    needed = drift["verdict"]["smallest_margin_mm2"]
    return found if needed is None else found | {"smallest_margin_mm2": needed}


def _defined(record: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: record[name] for name in names if record.get(name) is not None}


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
