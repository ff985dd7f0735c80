"""The few numbers of a comparison that `dvc metrics diff` sets side by side, and a table of two such comparisons.

An undefined number is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..versions.version import CHAMPION, holder
from .record import DriftRecord

#: What stands for a number that one of the two does not have.
ABSENT = "–"

#: Name of a metric, here and in MLflow -> the field of the candidate in the record.
OWN = {
    "csa_std_mean_mm2": "csa_std_mean_mm2",
    "csa_std_sd_mm2": "csa_std_sd_mm2",
    "csa_std_n": "n",
    "dice_mean": "dice_mean",
    "dice_min": "dice_min",
    "rve_percent": "rve_percent",
    "hd95_mm": "hd95_mm",
    "csa_error_mean_mm2": "csa_error_mm2",
    "cases": "cases",
    "failures": "failed",
    "unmeasured": "unmeasured",
}
#: The same for its pooled bias to the champion.
BIAS = {
    "bias_to_champion_mm2": "bias_mm2",
    "bias_to_champion_ci_low_mm2": "ci_low_mm2",
    "bias_to_champion_ci_high_mm2": "ci_high_mm2",
    "bias_to_champion_n": "n",
    "bias_to_champion_atrophy_months": "atrophy_months",
}


def metrics(drift: DriftRecord) -> dict[str, float]:
    """Take the numbers from the record by the names that they have in MLflow, and ``passed`` (0 or 1).

    ``bias_to_champion/<contrast>`` is the bias in one contrast, new - old, mm2.
    """
    found = {name: getattr(drift.candidate_version, field) for name, field in OWN.items()}
    champion = holder(CHAMPION, drift.priors)
    if champion is not None and champion.pooled is not None:
        found |= {name: getattr(champion.pooled, field) for name, field in BIAS.items()}
        found |= {f"bias_to_champion/{name}": row.bias_mm2 for name, row in champion.contrasts.items()}
    found |= {"margin_share": drift.verdict.margin_share, "passed": int(drift.verdict.passed)}
    return _defined(found)


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
    """Return the numbers by name, without the schema; earlier versions grouped them, such as ``candidate.n``."""
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
