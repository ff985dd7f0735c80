"""A small bundle without a training: the network of a fixed plan with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.base.files import write_csv, write_json
from stages.core.model.bundle.content import build_bundle
from stages.core.model.training.plans import fixed_plans
from stages.core.model.training.settings import FixedPlan, Network

PLAN = FixedPlan(
    spacing_mm=[1, 1, 1], patch_size=[16, 16, 16], batch_size=2, network=Network(features=[4, 8, 8], convolutions=1)
)
CONFIGURATION = "3d_fullres"
CORD: dict[str, Any] = {"labels": {"background": 0, "cord": 1}}
#: A model that also finds lesions. Its network has as many outputs as the other one: cord and lesion.
LESIONS: dict[str, Any] = {"labels": {"background": 0, "cord": [1, 2], "lesion": 2}, "regions_class_order": [1, 2]}


def network_of(plans: dict[str, Any]) -> Any:
    """Return the network of a plan, with the weights that torch draws from a fixed seed."""
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = PlansManager(plans).get_configuration(CONFIGURATION)
    torch.manual_seed(0)
    return get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        2,
        allow_init=False,
        deep_supervision=True,
    )


def make_fold(folder: Path, fold: int = 0, labels: dict[str, Any] = CORD) -> dict[str, NDArray[Any]]:
    """Write what ``train`` writes for one fold, and return the weights, which a test may change and write again."""
    import pandas as pd

    from stages.core.model.training.weights import write_weights

    folder.mkdir(parents=True)
    plans = fixed_plans(PLAN, CONFIGURATION)
    state = network_of(plans).state_dict()
    write_weights(folder / "weights.safetensors", state)
    write_json(folder / "plans.json", {"configuration": CONFIGURATION, "mirroring": [2], "plans": plans})
    dataset = {"channel_names": {"0": "mri"}, **labels, "file_ending": ".nii.gz"}
    write_json(folder / "dataset.json", dataset)
    columns = ("epoch", "train_loss", "val_loss", "dice", "learning_rate", "seconds")
    write_csv(folder / "progress.csv", pd.DataFrame([dict.fromkeys(columns, 0.5) | {"epoch": 0}]))
    write_json(folder / "training.json", {"fold": fold, "settings": {}, "data": {}})
    return {name: np.asarray(value) for name, value in state.items()}


def make_bundle(folder: Path, scratch: Path, folds: int = 1, labels: dict[str, Any] = CORD) -> Path:
    """Write a bundle of so many folds with the same weights, and return its folder."""
    scratch.mkdir(parents=True, exist_ok=True)
    for fold in range(folds):
        make_fold(scratch / f"fold_{fold}", fold, labels)
    write_json(
        scratch / "manifest.json", {"datasets": {}, "cases": [], "folds": [], "left_out": [], "digest": "0" * 64}
    )
    folder.mkdir(parents=True)
    build_bundle({fold: scratch / f"fold_{fold}" for fold in range(folds)}, scratch / "manifest.json", folder, "test")
    return folder
