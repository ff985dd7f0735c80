"""The mask in the form that the ruler measures: cleaned, cropped to the cord, and with its grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base.errors import ImageError
from ...images.volumes import VALUE_TOLERANCE, Volume, nearly_binary

Floats = NDArray[np.float64]
#: Values below this are left over from resampling and are not cord.
LEAST_VALUE = 1e-3
#: Largest cosine between two voxel axes that still count as perpendicular.
SHEAR_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Cord:
    """The part of a mask that holds cord.

    Attributes
    ----------
    data : (nx, ny, nz) values in [0, 1], without dust; of shape (0, 0, 0) for an empty mask
    start : index of the first voxel in the whole volume
    shape : shape of the whole volume
    spacing_mm : voxel size along x, y, z
    frame : (3, 3) unit vectors of the voxel axes in world space, as columns
    binary : whether every value is 0 or 1, but for rounding
    """

    data: Floats
    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    frame: Floats
    binary: bool


def find_cord(mask: Volume) -> Cord:
    """Clean a mask and crop it to the cord.

    >>> mask = np.zeros((8, 8, 8), np.float32)
    >>> mask[2:5, 3:7, 6] = 1
    >>> cord = find_cord(Volume(mask, np.eye(4)))
    >>> cord.start, cord.data.shape, cord.binary
    ((2, 3, 6), (3, 4, 1), True)

    Raises
    ------
    ImageError
        The mask is not 3-D, has values that are not finite or not in [0, 1], or voxel axes that are not perpendicular.
    """
    if mask.data.ndim != 3:
        raise ImageError(f"a mask must be 3-D, not {mask.data.ndim}-D (shape {mask.data.shape}).")
    low, high = float(mask.data.min(initial=0.0)), float(mask.data.max(initial=0.0))
    # One NaN anywhere makes both of them NaN.
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(mask.data.size - np.isfinite(mask.data).sum())
        raise ImageError(f"a mask's values must be finite; {bad} of {mask.data.size} are NaN or infinite.")
    if low < -VALUE_TOLERANCE or high > 1.0 + VALUE_TOLERANCE:
        raise ImageError(f"a mask's values must lie in [0, 1], not in [{low:.7g}, {high:.7g}].")
    frame = np.asarray(mask.affine[:3, :3] / np.asarray(mask.spacing_mm))
    if not float(np.abs(frame.T @ frame - np.eye(3)).max()) <= SHEAR_TOLERANCE:
        raise ImageError("the mask's voxel axes are not perpendicular (sheared affine); resample it first.")
    start, part = _crop(mask.data)
    data = np.clip(part.astype(np.float64), 0.0, 1.0)
    data[data < LEAST_VALUE] = 0.0
    nx, ny, nz = mask.data.shape
    binary = nearly_binary(data)
    if binary:
        data = np.round(data)  # ones such as 0.9999999 are left by a conversion or a resampling
    return Cord(data, start, (nx, ny, nz), mask.spacing_mm, frame, binary)


def _crop(data: NDArray[np.float32]) -> tuple[tuple[int, int, int], NDArray[np.float32]]:
    """Return the start and the content of the smallest box that holds all values but dust."""
    inside = data >= LEAST_VALUE
    in_plane: NDArray[np.bool_] = np.any(inside, axis=2)
    along = np.any(np.any(inside, axis=0), axis=0)
    box = []
    for line in (np.any(in_plane, axis=1), np.any(in_plane, axis=0), along):
        where = np.flatnonzero(line)
        if not len(where):
            return (0, 0, 0), data[:0, :0, :0]
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return (box[0].start, box[1].start, box[2].start), data[box[0], box[1], box[2]]
