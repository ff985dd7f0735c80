"""The few numbers of a comparison that `dvc metrics diff` sets side by side; an undefined one is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
