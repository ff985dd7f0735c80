"""The seed floor: how far the numbers move when a model is trained again with another seed and nothing else changes.

A drift that is not larger than this floor says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...base.files import read_csv, read_json
from ...tables.columns import MEASURES_TEXT
from ...tables.monitored import CASE, csa_of, monitored_pair
from .bias import pair, pooled_bias
from .csa_std import paired_csa_std

#: Keys of summary.json in which a seed must agree with the candidate.
SERIES = ("inference", "ruler", "frozen", "range")


def seed_floor(
    root: Path, candidate: Path, package: Path, contrasts: list[str], min_contrasts: int, alpha: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one record per seed, and the names of the seeds that do not count, each with the reason.

    Parameters
    ----------
    root : folder with one folder per seed, as ``cordrift seed`` writes it
    candidate : output of the stage measure
    package : the bundle, with its provenance
    contrasts : the frozen contrasts
    min_contrasts, alpha : of the pooled bias
    """
    measured, training = read_json(candidate / "summary.json"), same_training(read_json(package / "provenance.json"))
    base = read_csv(candidate / "measures.csv", text=MEASURES_TEXT)
    rows, others = [], []
    for folder in sorted(path.parent for path in root.glob("*/summary.json")):
        summary = read_json(folder / "summary.json")
        if same_training(read_json(folder / "provenance.json")) != training:
            others.append(f"{folder.name}: other data or settings")
            continue
        if [summary[key] for key in SERIES] != [measured[key] for key in SERIES] or summary["bundle"] == measured[
            "bundle"
        ]:
            others.append(f"{folder.name}: the same bundle, or measured in another way")
            continue
        measures = read_csv(folder / "measures.csv", text=MEASURES_TEXT)
        csa = [csa_of(rows) for rows in monitored_pair(measures, base, str(measured["range"]))]
        new, old = (table[table["contrast"].isin(contrasts)] for table in csa)
        pairs = pair(new, old)
        # Over the same cases: means over different people would differ without any seed.
        new_areas, old_areas = (
            pairs[CASE].assign(csa_mm2=pairs[side].where(pairs["difference"].notna())) for side in ("new", "old")
        )
        spread = paired_csa_std(new_areas, old_areas, contrasts)
        bias = pooled_bias(pairs, min_contrasts, alpha)
        rows.append(
            {
                "seed": folder.name,
                "bundle": str(summary["bundle"]),
                "n": bias.n,
                "bias_mm2": bias.bias_mm2,
                "csa_std_difference_mm2": float((spread["new"] - spread["old"]).mean()),
                "n_csa_std": len(spread),
            }
        )
    return rows, others


def same_training(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two trainings must share of every fold: the settings without the seed, and the digest of the data.

    The address from which the data were fetched is no part of it.
    """
    folds = provenance.get("training") or {}
    return {
        fold: {
            "settings": {key: value for key, value in one.get("settings", {}).items() if key not in {"seed", "folds"}},
            "data": one.get("data", {}).get("digest"),
        }
        for fold, one in folds.items()
    }
