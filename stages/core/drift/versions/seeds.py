"""The seed floor: how far the numbers move when a model is trained again with another seed and nothing else changes.

A drift that is not larger than this floor says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...base.files import read_json
from ...tables.monitored import CASE, csa_of, monitored_pair
from ..rule.settings import Compare
from ..statistics.bias import pair, pooled_bias
from ..statistics.csa_std import paired_csa_std
from .folders import read_version
from .validity import validated
from .version import MeasuredVersion

#: In these a seed must agree with the candidate.
SEED_SERIES = ("inference", "ruler", "frozen", "range")


def read_seeds(root: Path, candidate: MeasuredVersion, package: Path) -> tuple[list[MeasuredVersion], list[str]]:
    """Return the trainings with another seed, and the names of those that do not count, each with the reason.

    Parameters
    ----------
    root : folder with one folder per seed, as ``cordrift seed`` writes it
    candidate : the packaged bundle, measured
    package : the bundle, with its provenance
    """
    folders = sorted(path.parent for path in root.glob("*/summary.json"))
    training = same_training(read_json(package / "provenance.json")) if folders else {}
    seeds, others = [], []
    for folder in folders:
        seed = read_version(folder, label=folder.name)
        if same_training(read_json(folder / "provenance.json")) != training:
            others.append(f"{folder.name}: other data or settings")
        elif seed.series.bundle == candidate.series.bundle or any(
            getattr(seed.series, name) != getattr(candidate.series, name) for name in SEED_SERIES
        ):
            others.append(f"{folder.name}: the same bundle, or measured in another way")
        else:
            seeds.append(seed)
    return seeds, others


def seed_floor(
    seed: MeasuredVersion, candidate: MeasuredVersion, contrasts: list[str], rule: Compare
) -> dict[str, Any]:
    """Return the record of one seed: what it moves over the cases that both trainings measured.

    Masks that miss the cord are left out on both sides: their areas say nothing of a seed.

    Parameters
    ----------
    seed, candidate : both trainings
    contrasts : the frozen contrasts
    rule : which masks are measurements, and who is pooled
    """
    valid = [validated(one, rule.min_dice, rule.max_centreline_mm)[0] for one in (seed, candidate)]
    both = monitored_pair(valid[0].measures, valid[1].measures, candidate.series.range)
    new, old = (csa_of(rows[rows["contrast"].isin(contrasts)]) for rows in both)
    pairs = pair(new, old)
    # Over the same cases: means over different people would differ without any seed.
    new_areas, old_areas = (
        pairs[CASE].assign(csa_mm2=pairs[side].where(pairs["difference"].notna())) for side in ("new", "old")
    )
    spread = paired_csa_std(new_areas, old_areas, contrasts)
    bias = pooled_bias(pairs, rule.min_contrasts, rule.alpha)
    return {
        "seed": seed.label,
        "bundle": seed.series.bundle,
        "n": bias.n,
        "bias_mm2": bias.bias_mm2,
        "csa_std_difference_mm2": float((spread["new"] - spread["old"]).mean()),
        "n_csa_std": len(spread),
    }


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
