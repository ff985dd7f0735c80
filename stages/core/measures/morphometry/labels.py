"""Volumes that say where the vertebrae are: single-voxel disc labels, or a map of levels.

Both become heights of discs in slices of the mask. They must lie on the mask's grid, unless they are brought to it in
world space: a disc label as a point, a map by its nearest voxel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...base.errors import CordriftError
from ...images.volumes import Volume, grid_difference
from .levels import LAST_DISC, UNKNOWN, Discs, order

#: Labels that are whole numbers may be off by this much (rounding of stored floats).
WHOLE = 1e-3


def read_discs(labels: Volume, mask: Volume | None = None) -> Discs:
    """Find the discs in a volume of single-voxel labels.

    Parameters
    ----------
    mask : when given, the labels' heights are those of their voxels' centres in this grid

    Raises
    ------
    CordriftError
        A label that is no whole number or occurs twice; discs out of order (a higher number above a lower one).
    """
    where = np.argwhere(labels.data != 0)
    values = _whole(labels.data[tuple(where.T)], "disc labels")
    heights = where[:, 2].astype(np.float64)
    if mask is not None:
        into = np.linalg.inv(mask.affine) @ labels.affine
        heights = (into @ np.column_stack([where, np.ones(len(where))]).T)[2]
    slices: dict[int, float] = {}
    for value, height in sorted(zip(values.tolist(), heights.tolist(), strict=True)):
        if not 1 <= value <= LAST_DISC:
            continue
        if value in slices:
            raise CordriftError(f"disc {value} is labelled twice (slices {slices[value]:g} and {height:g}).")
        slices[value] = height
    return order(slices)


def read_map(levels: Volume, mask: Volume | None = None) -> Discs:
    """Find the discs between the levels of a map, in which each voxel of the cord holds its vertebra's number.

    A slice has the level of most of its labelled voxels (the lower vertebra where two are equal). A disc lies half a
    slice above the top slice of its vertebra, and below the lowest level. A level that reaches the first or last
    slice may be cut off by the field of view: its end is unknown.

    Parameters
    ----------
    mask : when given, the map is brought to this grid by its nearest voxel

    Raises
    ------
    CordriftError
        A label that is no whole number; a map whose levels do not descend.
    """
    data = levels.data if mask is None else _nearest(levels, mask)
    n_slices = data.shape[2]
    where = np.argwhere(data != 0)
    values = _whole(data[tuple(where.T)], "levels of a map")
    known = (values >= 1) & (values <= LAST_DISC)
    counts = np.zeros((n_slices, LAST_DISC + 1), dtype=np.int64)
    np.add.at(counts, (where[known, 2], values[known]), 1)
    # Of equal counts argmax takes the first: turned round, the lower vertebra.
    level = np.where(counts.any(axis=1), LAST_DISC - counts[:, ::-1].argmax(axis=1), UNKNOWN)
    slices: dict[int, float] = {}
    for vertebra in sorted(set(level.tolist()) - {UNKNOWN}):
        held = np.flatnonzero(level == vertebra)
        below = level[: held[-1]]
        if (below[below != UNKNOWN] < vertebra).any():
            raise CordriftError(
                f"level {vertebra} of the map reaches slice {held[-1]}, above a slice of a level with a lower number; "
                f"levels must descend."
            )
        if held[-1] < n_slices - 1:
            slices[vertebra] = held[-1] + 0.5
        if held[0] > 0:
            slices[vertebra + 1] = held[0] - 0.5
    return order(slices)


def on_grid(labels: Volume, mask: Volume, what: str) -> None:
    """Refuse labels that do not lie on the grid of the mask.

    Raises
    ------
    CordriftError
        Two grids; says what to do.
    """
    difference = grid_difference(mask, labels)
    if difference:
        raise CordriftError(
            f"mask and {what} must lie on one grid, but {difference}; if both are of one session, without "
            f"movement between them, `cordrift measure --match-world` brings the {what} to the grid of the mask."
        )


def _whole(values: NDArray[np.float32], what: str) -> NDArray[np.int64]:
    rounded = np.round(values.astype(np.float64))
    if len(values) and float(np.abs(values - rounded).max()) > WHOLE:
        raise CordriftError(f"{what} must be whole numbers; this volume was interpolated.")
    return rounded.astype(np.int64)


def _nearest(levels: Volume, mask: Volume) -> NDArray[np.float32]:
    """The map's values on the mask's grid; 0 outside the map."""
    into = np.linalg.inv(levels.affine) @ mask.affine
    return np.asarray(
        ndimage.affine_transform(
            levels.data, into[:3, :3], into[:3, 3], output_shape=mask.data.shape, order=0, mode="constant", cval=0.0
        ),
        dtype=np.float32,
    )
