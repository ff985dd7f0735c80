"""Training data in nnU-Net's raw layout: canonical axes, image and mask on one grid, masks binarised."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...base.errors import CordriftError
from ...images import volumes

#: Changes whenever the same input would give other volumes: part of the digest of what was prepared.
PREPARATION = 1
#: A voxel of a mask belongs to the cord from this value up.
THRESHOLD = 0.5
#: No mask holds a larger value: above it the file is a label map or an image. A little overshoot of resampling is one.
LARGEST = 1.5


@dataclass(frozen=True)
class RawImage:
    """One training case: its name and the verified working files of image and mask."""

    name: str
    image: Path
    mask: Path


def write_case(folder: Path, case: RawImage) -> int:
    """Write ``imagesTr/<name>_0000.nii.gz`` (float32) and ``labelsTr/<name>.nii.gz`` (uint8, 0 or 1).

    Returns the number of cord voxels, at least 1.

    Raises
    ------
    CordriftError
        Image or mask is unreadable (see :mod:`stages.core.images.volumes`), they lie on different grids, or the mask is
        empty or no mask.
    """
    image = volumes.read(case.image)
    mask = volumes.read_on_grid(case.mask, image, case.image)
    largest = float(mask.data.max())
    if largest > LARGEST or float(mask.data.min()) < 1.0 - LARGEST:
        raise CordriftError(f"{case.mask} is no mask: expected values from 0 to 1, found up to {largest:g}.")
    cord = (mask.data >= THRESHOLD).astype(np.uint8)
    if not cord.any():
        raise CordriftError(f"{case.mask} is empty: no voxel reaches {THRESHOLD}; correct it or exclude the case.")
    volumes.write(folder / "imagesTr" / f"{case.name}_0000.nii.gz", image.data, image.affine)
    volumes.write(folder / "labelsTr" / f"{case.name}.nii.gz", cord, image.affine)
    return int(cord.sum())


def write_raw(folder: Path, cases: Sequence[RawImage], *, processes: int) -> None:
    """Write a whole raw folder: ``imagesTr``, ``labelsTr`` and ``dataset.json``.

    The channel is called ``mri``: any name but CT makes nnU-Net normalise each image by its own mean and SD.

    Raises
    ------
    CordriftError
        As :func:`write_case`; the first bad case in order stops the whole.
    """
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    if processes > 1 and len(cases) > processes:
        with ProcessPoolExecutor(processes) as pool:
            try:
                _drain(pool.map(write_case, [folder] * len(cases), cases, chunksize=4), len(cases))
            except CordriftError:
                pool.shutdown(cancel_futures=True)
                raise
    else:
        _drain((write_case(folder, case) for case in cases), len(cases))
    # nnU-Net's own format: no schema number of ours.
    dataset = {
        "channel_names": {"0": "mri"},
        "labels": {"background": 0, "cord": 1},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _drain(results: Iterable[int], total: int) -> None:
    for _ in tqdm(results, desc="prepare", total=total, unit="case", disable=None):
        pass
