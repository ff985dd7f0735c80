"""The seed floor: what training again with another seed moves, on the same data and with the same settings.

A drift that is not larger than this floor says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...base.files import read_csv, read_json
from ...tables.columns import MEASURES_TEXT
from ...tables.monitored import csa_of, monitored_pair
from .bias import pair, pooled_bias
from .csa_std import csa_std, summarise

#: Of summary.json, what a seed must share with the candidate.
SERIES = ("inference", "ruler", "frozen", "range")


def seed_floor(
    root: Path, candidate: Path, package: Path, contrasts: list[str], min_contrasts: int, alpha: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """One record a seed, and the names of those that do not count, with the reason.

    Parameters
    ----------
    root : folder with one folder a seed, as ``cordrift seed`` writes it
    candidate : output of the stage measure
    package : the bundle, with its provenance
    """
    mine, own = read_json(candidate / "summary.json"), same_training(read_json(package / "provenance.json"))
    base = read_csv(candidate / "measures.csv", text=MEASURES_TEXT)
    rows, others = [], []
    for folder in sorted(path.parent for path in root.glob("*/summary.json")):
        summary = read_json(folder / "summary.json")
        if same_training(read_json(folder / "provenance.json")) != own:
            others.append(f"{folder.name}: other data or settings")
            continue
        if [summary[key] for key in SERIES] != [mine[key] for key in SERIES] or summary["bundle"] == mine["bundle"]:
            others.append(f"{folder.name}: the same bundle, or measured in another way")
            continue
        measures = read_csv(folder / "measures.csv", text=MEASURES_TEXT)
        csa = [csa_of(rows) for rows in monitored_pair(measures, base, str(mine["range"]))]
        new, old = (table[table["contrast"].isin(contrasts)] for table in csa)
        new_std, old_std = (summarise(csa_std(table, contrasts)["csa_std_mm2"]).mean for table in (new, old))
        bias = pooled_bias(pair(new, old), min_contrasts, alpha)
        rows.append(
            {
                "seed": folder.name,
                "bundle": str(summary["bundle"]),
                "n": bias.n,
                "bias_mm2": bias.bias_mm2,
                "csa_std_difference_mm2": new_std - old_std,
            }
        )
    return rows, others


def same_training(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Settings (without the seed) and data (by digest: where they were fetched from decides nothing) of every fold."""
    folds = provenance.get("training") or {}
    return {
        fold: {
            "settings": {key: value for key, value in one.get("settings", {}).items() if key not in {"seed", "folds"}},
            "data": one.get("data", {}).get("digest"),
        }
        for fold, one in folds.items()
    }
