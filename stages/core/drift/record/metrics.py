"""The few numbers of a comparison that `dvc metrics diff` sets side by side, and a table of two such comparisons.

An undefined number is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .record import DriftRecord

#: What stands for a number that one of the two does not have.
ABSENT = "–"

#: Numbers of the candidate itself.
OWN = (
    "csa_std_mean_mm2", "n", "dice_mean", "dice_min", "rve_percent", "hd95_mm", "csa_error_mm2", "failed", "unmeasured",
)  # fmt: skip
#: Numbers of its pooled bias to the version that the headline speaks of.
BIAS_FIELDS = ("bias_mm2", "ci_low_mm2", "ci_high_mm2", "n", "atrophy_months")


def metrics(drift: DriftRecord) -> dict[str, Any]:
    """Take the numbers from the record: ``candidate``, ``bias`` (new - old, mm2), ``passed`` (0 or 1)."""
    found: dict[str, Any] = {
        "candidate": _defined({name: getattr(drift.candidate_version, name) for name in OWN}),
        "passed": int(drift.verdict.passed),
    }
    prior = drift.headline_prior
    if prior is not None and prior.pooled is not None:
        contrasts = {name: row.bias_mm2 for name, row in prior.contrasts.items()}
        pooled = _defined({name: getattr(prior.pooled, name) for name in BIAS_FIELDS})
        found["bias"] = pooled | {"contrasts": _defined(contrasts)}
    return found | _defined({"margin_share": drift.verdict.margin_share})


def _defined(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isnan(value)}


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
    """Return the numbers by their path, such as ``bias.contrasts.T1w``, without the schema of the file."""
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
