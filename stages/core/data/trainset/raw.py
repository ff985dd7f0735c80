"""Write training data in nnU-Net's raw layout: canonical axes, image and mask on one grid, binary masks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...base.errors import ImageError
from ...images import volumes

#: Number to raise when the same input would give other volumes. It is part of the digest of the training data.
PREPARATION = 1
#: A voxel belongs to the cord when its value in the mask is at least this.
THRESHOLD = 0.5
#: Largest value in a mask. It leaves room for the overshoot of resampling; label maps and images have larger values.
LARGEST = 1.5


@dataclass(frozen=True)
class RawImage:
    """One training case: its name, and the files of its image and mask, which were verified."""

    name: str
    image: Path
    mask: Path


def write_case(folder: Path, case: RawImage) -> int:
    """Write ``imagesTr/<name>_0000.nii.gz`` (float32) and ``labelsTr/<name>.nii.gz`` (uint8, 0 or 1).

    Returns
    -------
    The number of cord voxels, at least 1.

    Raises
    ------
    ImageError
        Image or mask cannot be read (see ``images/volumes.py``), they have different grids, or the mask
        is empty or has values outside 0 to 1.
    """
    image = volumes.read(case.image)
    mask = volumes.read_on_grid(case.mask, image, case.image)
    largest = float(mask.data.max())
    if largest > LARGEST or float(mask.data.min()) < 1.0 - LARGEST:
        raise ImageError(f"{case.mask} is no mask: expected values from 0 to 1, found up to {largest:g}.")
    cord = (mask.data >= THRESHOLD).astype(np.uint8)
    if not cord.any():
        raise ImageError(f"{case.mask} is empty: no voxel reaches {THRESHOLD}; correct it or exclude the case.")
    volumes.write(folder / "imagesTr" / f"{case.name}_0000.nii.gz", image.data, image.affine)
    volumes.write(folder / "labelsTr" / f"{case.name}.nii.gz", cord, image.affine)
    return int(cord.sum())


def write_raw(folder: Path, cases: Sequence[RawImage], *, processes: int) -> None:
    """Write a whole raw folder: ``imagesTr``, ``labelsTr`` and ``dataset.json``.

    The channel is called ``mri``. With any name but CT, nnU-Net normalises each image by its own mean and SD.

    Raises
    ------
    ImageError
        See :func:`write_case`; the first case (in order) that cannot be written stops the whole.
    """
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    if processes > 1 and len(cases) > processes:
        with ProcessPoolExecutor(processes) as pool:
            try:
                _show_progress(pool.map(write_case, [folder] * len(cases), cases, chunksize=4), len(cases))
            except ImageError:
                pool.shutdown(cancel_futures=True)
                raise
    else:
        _show_progress((write_case(folder, case) for case in cases), len(cases))
    # This file has the format of nnU-Net, so that it gets no schema number of cordrift.
    dataset = {
        "channel_names": {"0": "mri"},
        "labels": {"background": 0, "cord": 1},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _show_progress(results: Iterable[int], total: int) -> None:
    """Wait for all results and show a progress bar."""
    for _ in tqdm(results, desc="prepare", total=total, unit="case", disable=None):
        pass
