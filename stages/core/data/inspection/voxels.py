"""Checks of the voxels of an image, a mask or disc labels. Arrays have canonical (RAS+) axes."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...images.fault import Fault, error, warning
from ...images.mask_values import faults_of_values
from ...images.volumes import VALUE_TOLERANCE, Volume
from .settings import Check

#: Disc labels are 1 to 25: the disc above C1 is 1, the disc above S1 is 25.
LAST_DISC = 25
#: Labels of the Spinal Cord Toolbox that are not discs: pontomedullary groove (49) and junction (50).
LANDMARKS = (49, 50)


def voxel_digest(volume: Volume) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of values and grid.

    Storage order, data type and compression of the file do not change it.
    """
    digest = hashlib.sha256(repr(volume.data.shape).encode())
    digest.update((np.round(volume.affine, 3) + 0.0).tobytes())  # + 0.0 makes -0.0 the same as 0.0
    digest.update(np.ascontiguousarray(volume.data + np.float32(0)).tobytes())
    return digest.hexdigest()


def faults_of_image(data: NDArray[np.float32], params: Check) -> list[Fault]:
    """Check the intensities (nx, ny, nz) of an image: a constant image, or many voxels at its largest value."""
    low, high = float(data.min()), float(data.max())
    if low == high:
        return [error("image-constant", f"has one value everywhere, {low:g}", "different values", low)]
    share = float(np.mean(data == high))
    if share > params.clipped_share:
        say = f"is clipped: {share:.1%} of its voxels have the largest value, {high:g}"
        return [warning("image-clipped", say, f"at most {params.clipped_share:.1%}", share)]
    return []


def faults_of_mask(mask: Volume, params: Check, *, soft: bool) -> list[Fault]:
    """Check a mask: wrong values, no voxels, several pieces, or a cord that is cut off at the side of the image.

    ``soft`` allows all values from 0 to 1, otherwise only 0 and 1 are allowed.
    """
    wrong = faults_of_values(mask)
    if wrong:
        return wrong
    near = np.minimum(np.abs(mask.data), np.abs(mask.data - 1.0))
    between = int((near > VALUE_TOLERANCE).sum())
    if between and not soft:
        return [
            error("mask-values", f"has {between} values between 0 and 1", "only the values 0 and 1", float(between))
        ]
    inside = mask.data >= 0.5
    if not inside.any():
        return [error("mask-empty", "is empty: no voxel reaches 0.5", "some voxels of the cord", 0.0)]
    faults = []
    pieces = components(inside, params.component_share)
    if pieces > 1:
        say = f"has {pieces} separate pieces, each more than {params.component_share:.0%} of its volume"
        faults.append(warning("mask-components", say, "one piece", float(pieces)))
    side = {axis for axis in (0, 1) if inside.take(0, axis=axis).any() or inside.take(-1, axis=axis).any()}
    if side:
        names = " and ".join(("left or right", "front or back")[axis] for axis in sorted(side))
        faults.append(warning("mask-border", f"reaches the {names} side of the image", "a cord that is not cut off"))
    return faults


def components(inside: NDArray[np.bool_], least_share: float) -> int:
    """Return the number of connected pieces (26 neighbours) with more than ``least_share`` of all voxels inside."""
    labelled, _ = ndimage.label(inside, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labelled.ravel())[1:]
    return int((sizes > least_share * sizes.sum()).sum())


def mask_size(mask: Volume) -> tuple[float, float]:
    """Return the volume of a mask (mm3, its values summed up) and its length along z (mm, slices that have cord)."""
    volume = float(mask.data.sum(dtype=np.float64) * abs(np.linalg.det(mask.affine[:3, :3])))
    slices = int((mask.data >= 0.5).any(axis=(0, 1)).sum())
    return volume, slices * mask.spacing_mm[2]


def disc_numbers(labels: Volume) -> list[int]:
    """Return the disc numbers in a volume of labels, ascending; a number in two voxels appears twice."""
    values = np.round(labels.data[labels.data != 0]).astype(int)
    return sorted(int(value) for value in values if 1 <= value <= LAST_DISC)


def faults_of_discs(labels: Volume) -> list[Fault]:
    """Check single-voxel disc labels: whole numbers, each once, rising from head to foot, without a gap.

    A fault is an error exactly where the measuring code refuses the labels
    (``read_discs`` in ``measures/morphometry/levels.py``).
    """
    where = np.argwhere(labels.data != 0)
    values = labels.data[tuple(where.T)].astype(np.float64)
    if len(values) and float(np.abs(values - np.round(values)).max()) > 1e-3:
        return [
            error(
                "discs-values",
                "has labels that are not whole numbers",
                "whole numbers (labels must not be interpolated)",
            )
        ]
    faults = []
    unknown = sorted({round(v) for v in values.tolist()} - {*range(1, LAST_DISC + 1), *LANDMARKS})
    if unknown:
        say = f"has the label {unknown[0]}, which belongs to no disc"
        faults.append(warning("discs-range", say, f"labels from 1 to {LAST_DISC}", float(unknown[0])))
    numbers = disc_numbers(labels)
    if not numbers:
        return [*faults, warning("discs-missing", "has no disc label", f"labels from 1 to {LAST_DISC}")]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        say = f"has disc {twice[0]} in {numbers.count(twice[0])} voxels"
        return [*faults, error("discs-duplicated", say, "one voxel for each disc", float(twice[0]))]
    height = {round(value): int(voxel[2]) for value, voxel in zip(values.tolist(), where, strict=True)}
    for above, below in pairwise(numbers):
        if height[below] > height[above]:
            faults.append(
                error(
                    "discs-order",
                    f"has disc {below} above disc {above}",
                    "numbers that rise from head to foot",
                    float(below),
                )
            )
            break
    gaps = [above + 1 for above, below in pairwise(numbers) if below > above + 1]
    if gaps:
        faults.append(
            warning("discs-gap", f"has no disc {gaps[0]}, but discs above and below it", "no gap", float(gaps[0]))
        )
    return faults
