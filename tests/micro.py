"""A workspace small enough to run the whole pipeline in a test: micro cohort, tiny network, seconds of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from stages.core.files import write_csv
from stages.core.phantom.cohort import frozen_participants
from stages.core.phantom.publish import publish
from stages.core.registry import FROZEN, REGISTRY, pin, read_frozen
from stages.core.roundtrip import edit_yaml
from stages.core.workspace import make

ROOT = Path(__file__).parents[1]
CONTRASTS = ["T1w", "T2w", "MTon"]


def micro_workspace(folder: Path, cohort: Path) -> None:
    """Make a workspace on the demo profile, shrunk; its cohort, first revision, lies in ``cohort``."""
    make(ROOT, folder, "demo")
    first = publish(cohort, "micro", "r1", 2)
    frozen = [(name, "phantom-frozen") for name in frozen_participants("micro", "r1")]
    frozen += [row for row in read_frozen(ROOT / FROZEN) if row.dataset == "real-cord"]
    write_csv(folder / FROZEN, pd.DataFrame(frozen, columns=["participant", "dataset"]))
    edit_yaml(folder / REGISTRY, lambda registry: _shrink_registry(registry, cohort))
    for name in ("phantom", "phantom-frozen"):
        pin(folder / REGISTRY, name, "r1", first)
    edit_yaml(folder / "params.yaml", _shrink_params)


def grow(folder: Path, cohort: Path) -> None:
    """Publish the second revision and pin it for training; the frozen set stays where it was."""
    pin(folder / REGISTRY, "phantom", "r2", publish(cohort, "micro", "r2", 2))
    edit_yaml(folder / "params.yaml", lambda params: params["register"].update(label="v2"))


def _shrink_registry(registry: Any, cohort: Path) -> None:
    for name in ("phantom", "phantom-frozen"):
        entry = registry["datasets"][name]
        entry["url"] = str(cohort)
        for contrast in [key for key in entry["contrasts"] if key not in (*CONTRASTS, "synth")]:
            del entry["contrasts"][contrast]


def _shrink_params(params: Any) -> None:
    params["train"]["plan"].update(patch_size=[32, 32, 32], network={"features": [8, 16, 32], "convolutions": 1})
    params["train"].update(epochs=3, iterations=25, validation_iterations=2, save_every=1)
    params["segment"]["contrasts"] = CONTRASTS
    params["compare"]["min_contrasts"] = 3
    params["register"]["label"] = "v1"
