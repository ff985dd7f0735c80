"""Volumes that show the vertebrae: single-voxel disc labels, or a map of levels.

Both become heights of discs in slices of the mask. They must lie on the mask's grid, unless they are brought to it in
world space: a disc label as a point, a map by its nearest voxels.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...base.errors import ImageError
from ...images.volumes import Volume, grid_difference
from .levels import LAST_DISC, NO_LEVEL, Discs, order_discs

#: Largest difference of a label from a whole number, for the rounding of stored floats.
NOT_WHOLE = 1e-3


def read_discs(labels: Volume, mask: Volume | None = None) -> Discs:
    """Find the discs in a volume of single-voxel labels.

    >>> labels = np.zeros((3, 3, 10), np.float32)
    >>> labels[1, 1, 8], labels[1, 1, 5] = 2, 3
    >>> read_discs(Volume(labels, np.eye(4))).slices
    {2: 8.0, 3: 5.0}

    Parameters
    ----------
    labels : 0, or the number of a disc
    mask : when given, heights are positions of the labels' voxel centres in the grid of this mask

    Raises
    ------
    ImageError
        A label is not a whole number or has several voxels, or a disc lies above one with a lower number.
    """
    where = np.argwhere(labels.data != 0)
    values = _whole(labels.data[tuple(where.T)], "disc labels")
    heights = where[:, 2].astype(np.float64)
    if mask is not None:
        into = np.linalg.inv(mask.affine) @ labels.affine
        heights = (into @ np.column_stack([where, np.ones(len(where))]).T)[2]
    found = sorted((value, height) for value, height in zip(values.tolist(), heights.tolist(), strict=True))
    found = [(value, height) for value, height in found if 1 <= value <= LAST_DISC]
    count = Counter(value for value, _ in found)
    for value, voxels in count.items():
        if voxels > 1:
            held = [height for other, height in found if other == value]
            raise ImageError(
                f"disc {value} is labelled in {voxels} voxels (slices {held[0]:g} to {held[-1]:g}); expected one voxel "
                "for each disc. Labels that were dilated, or drawn as blobs, must be reduced to their centres (in the "
                "Spinal Cord Toolbox: sct_label_utils -cubic-to-point); a map of vertebral levels is given with "
                "--levels-map."
            )
    return order_discs(dict(found))


def read_map(levels: Volume, mask: Volume | None = None) -> Discs:
    """Find the discs between the levels of a map, in which each voxel of the cord holds the number of its vertebra.

    A slice has the level of most of its labelled voxels; of two equal levels it has the lower vertebra. A disc lies
    half a slice above the top slice of its vertebra, and one lies below the lowest level. A level that reaches the
    first or last slice of the volume may be cut off there, so that end of it is unknown.

    >>> levels = np.zeros((1, 1, 7), np.float32)
    >>> levels[0, 0] = [0, 3, 3, 2, 2, 2, 0]
    >>> read_map(Volume(levels, np.eye(4))).slices
    {2: 5.5, 3: 2.5, 4: 0.5}

    Parameters
    ----------
    levels : 0, or the number of a vertebra
    mask : when given, the map is brought to the grid of this mask by its nearest voxels

    Raises
    ------
    ImageError
        A label is not a whole number, or the levels do not descend.
    """
    data = levels.data if mask is None else _nearest(levels, mask)
    n_slices = data.shape[2]
    where = np.argwhere(data != 0)
    values = _whole(data[tuple(where.T)], "levels of a map")
    known = (values >= 1) & (values <= LAST_DISC)
    counts = np.zeros((n_slices, LAST_DISC + 1), dtype=np.int64)
    np.add.at(counts, (where[known, 2], values[known]), 1)
    # argmax takes the first of equal counts; in the reversed array this is the lower vertebra.
    level = np.where(counts.any(axis=1), LAST_DISC - counts[:, ::-1].argmax(axis=1), NO_LEVEL)
    slices: dict[int, float] = {}
    for vertebra in sorted(set(level.tolist()) - {NO_LEVEL}):
        held = np.flatnonzero(level == vertebra).tolist()
        below = level[: held[-1]]
        if (below[below != NO_LEVEL] < vertebra).any():
            raise ImageError(
                f"level {vertebra} of the map reaches slice {held[-1]}, above a slice of a level with a lower number; "
                f"levels must descend."
            )
        if held[-1] < n_slices - 1:
            slices[vertebra] = held[-1] + 0.5
        if held[0] > 0:
            slices[vertebra + 1] = held[0] - 0.5
    return order_discs(slices)


def on_grid(labels: Volume, mask: Volume, what: str) -> None:
    """Refuse labels that do not lie on the grid of the mask.

    Raises
    ------
    ImageError
        The grids differ; the message says what to do.
    """
    difference = grid_difference(mask, labels)
    if difference:
        raise ImageError(
            f"mask and {what} must lie on one grid, but {difference}; if both are of one session, without "
            f"movement between them, `cordrift measure --match-world` brings the {what} to the grid of the mask."
        )


def _whole(values: NDArray[np.float32], what: str) -> NDArray[np.int64]:
    rounded = np.round(values.astype(np.float64))
    if len(values) and float(np.abs(values - rounded).max()) > NOT_WHOLE:
        raise ImageError(f"{what} must be whole numbers; this volume was interpolated.")
    return rounded.astype(np.int64)


def _nearest(levels: Volume, mask: Volume) -> NDArray[np.float32]:
    """Return the values of the map on the grid of the mask; 0 outside the map."""
    into = np.linalg.inv(levels.affine) @ mask.affine
    return np.asarray(
        ndimage.affine_transform(
            levels.data, into[:3, :3], into[:3, 3], output_shape=mask.data.shape, order=0, mode="constant", cval=0.0
        ),
        dtype=np.float32,
    )
