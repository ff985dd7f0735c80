"""Tiles of a network that follow a cord, instead of a grid of tiles over the whole image."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Start = tuple[int, int, int]
Box = tuple[slice, slice, slice]
Mask = NDArray[np.bool_]


def following_tiles(near: Mask, patch: Start, step: float) -> list[Start]:
    """Return the first voxels of tiles that together cover all of a region, in the order of the first axis.

    Along the first axis neighbouring tiles are ``step`` of a tile apart. Across it, the cord lies in the middle of each
    tile, where a network knows most of its surroundings; a region wider than a tile gets several tiles side by side.

    Parameters
    ----------
    near : (nz, ny, nx) the region, on a grid at least as large as a tile
    patch : size of a tile, voxels
    step : distance of neighbouring tiles in parts of a tile, in (0, 1]
    """
    along = np.flatnonzero(near.any(axis=(1, 2)))
    if not along.size:
        return []
    starts = []
    for z in _places(int(along[0]), int(along[-1]) + 1, patch[0], near.shape[0], step):
        part = near[z : z + patch[0]]
        across = []
        for axis in (1, 2):
            there = np.flatnonzero(part.any(axis=tuple(k for k in range(3) if k != axis)))
            if not there.size:
                break
            across.append(_places(int(there[0]), int(there[-1]) + 1, patch[axis], near.shape[axis], step))
        else:
            starts += [(z, y, x) for y, x in product(*across)]
    return [(z, y, x) for z, y, x in starts if near[z : z + patch[0], y : y + patch[1], x : x + patch[2]].any()]


def _places(low: int, high: int, size: int, room: int, step: float) -> list[int]:
    """Return the starts of tiles that cover [low, high) within [0, room): one in the middle, or several."""
    if high - low <= size:
        return [int(np.clip((low + high - size) // 2, 0, room - size))]
    count = int(np.ceil((high - low - size) / (size * step))) + 1
    return [min(round(at), room - size) for at in np.linspace(low, high - size, count)]


def box_of(near: Mask, margin: tuple[int, int, int]) -> Box:
    """Return the smallest box that holds a mask, with a ``margin`` (voxels) on each side where there is room."""
    boxes = []
    for axis, (n, more) in enumerate(zip(near.shape, margin, strict=True)):
        along = np.flatnonzero(near.any(axis=tuple(k for k in range(3) if k != axis)))
        boxes.append(slice(max(0, int(along[0]) - more), min(n, int(along[-1]) + 1 + more)))
    return boxes[0], boxes[1], boxes[2]


def on_grid_of(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Return a mask on a finer or coarser grid over the same field of view, by the nearest voxel."""
    for axis, (have, want) in enumerate(zip(mask.shape, shape, strict=True)):
        nearest = np.minimum(((np.arange(want) + 0.5) * have / want).astype(int), have - 1)
        mask = np.take(mask, nearest, axis=axis)
    return mask
