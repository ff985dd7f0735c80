"""Training data of four small cords in noise, in the form of the output of ``prepare``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stages.core.base.files import write_json
from stages.core.base.inventory import write_inventory
from stages.core.images import volumes


def write_prepared(folder: Path) -> Path:
    """Write four bright elliptic cords in noise, in the form of the output of ``prepare``."""
    rng = np.random.default_rng(0)
    shape = (20, 22, 24)
    x, y, z = np.indices(shape)
    cases = [f"case{index}" for index in range(4)]
    for index, case in enumerate(cases):
        mask = ((x - 10 - 2 * np.sin(z / 9 + index)) ** 2 / 20 + (y - 11) ** 2 / 10) < 1
        image = (rng.normal(0, 0.3, shape) + 2 * mask).astype(np.float32)
        volumes.write(folder / f"raw/imagesTr/{case}_0000.nii.gz", image, np.eye(4))
        volumes.write(folder / f"raw/labelsTr/{case}.nii.gz", mask.astype(np.uint8), np.eye(4))
    labels = {"channel_names": {"0": "mri"}, "labels": {"background": 0, "cord": 1}}
    (folder / "raw/dataset.json").write_text(json.dumps({**labels, "numTraining": 4, "file_ending": ".nii.gz"}))
    folds = [{"train": cases[:3], "val": cases[3:]}]
    write_json(
        folder / "manifest.json",
        {"cases": [{"case": case} for case in cases], "datasets": {}, "folds": folds, "digest": "0" * 64},
    )
    write_inventory(folder)
    return folder
