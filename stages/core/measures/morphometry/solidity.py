"""Solidity of each slice: the part of its convex hull that the cord fills."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

Floats = NDArray[np.float64]
#: Corners of a cell between four voxel centres, in the order in which one walks round it; edge k leads from corner k to
#: the next.
CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


def solidity(data: Floats) -> Floats:
    """Return the area inside the contour at half of the slice's maximum, over the area of the contour's convex hull.

    The contour is interpolated linearly between voxel centres (marching squares), so that a convex cord has a solidity
    near 1 at any voxel size. The contour of a binary mask runs through the middles of the edges between voxels. Voxels
    that touch at a corner are apart. The area of holes is subtracted. The ratio is the same in the slice and in the
    tilt-corrected section, because the projection between them is linear.

    A rectangle is convex and fills its hull:

    >>> solidity(np.ones((4, 6, 1))).tolist()
    [1.0]

    Parameters
    ----------
    data : (nx, ny, n) values >= 0, each slice with a maximum > 0

    Returns
    -------
    (n,) array
        In (0, 1]; NaN where the contour encloses nothing.
    """
    starts, ends, slices = _contours(np.pad(np.moveaxis(data, 2, 0), ((0, 0), (1, 1), (1, 1))))
    n = data.shape[2]
    twice = starts[:, 0] * ends[:, 1] - starts[:, 1] * ends[:, 0]
    area = np.bincount(slices, weights=twice, minlength=n) / 2.0
    bounds = np.searchsorted(slices, np.arange(n + 1))
    hull = np.array([_hull_area(starts[a:b]) for a, b in pairwise(bounds)])
    return np.where(area > 0.0, np.minimum(1.0, area / hull), np.nan)


def _contours(slices: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return the m pieces of the contours at half of each slice's maximum, the inside to the left of each.

    All cells of all slices are looked at together, which takes a tenth of the time of following each contour.

    Parameters
    ----------
    slices : (n, nx, ny) values with a border of 0

    Returns
    -------
    starts, ends : (m, 2) voxels
    slices : (m,) slice of each piece, ascending
    """
    half = 0.5 * slices.max(axis=(1, 2))
    inside = slices > half[:, None, None]
    around = [inside[:, i : inside.shape[1] - 1 + i, j : inside.shape[2] - 1 + j] for i, j in CORNERS]
    mixed = np.logical_or.reduce(around) & ~np.logical_and.reduce(around)
    number, x, y = np.nonzero(mixed)
    value = np.stack([slices[number, x + i, y + j] for i, j in CORNERS])
    within = value > half[number]
    starts: list[Floats] = []
    ends: list[Floats] = []
    owners = []
    for corner in range(4):
        leaves = within[corner] & ~within[(corner + 1) % 4]
        cell = np.flatnonzero(leaves)
        # The piece ends on the edge at which the walk came in, before the corners that lie inside together.
        back = np.where(within[corner - 1, cell], np.where(within[corner - 2, cell], 3, 2), 1)
        for edge, points in ((np.full(len(cell), corner), starts), ((corner - back) % 4, ends)):
            points.append(_crossing(edge, value[:, cell], half[number[cell]]) + np.stack([x[cell], y[cell]], axis=1))
        owners.append(number[cell])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(starts)[order], np.concatenate(ends)[order], owner[order]


def _crossing(edge: NDArray[np.int64], value: Floats, level: Floats) -> Floats:
    """Return where the level is crossed on an edge of each cell, (m, 2), from the values (4, m) at its corners."""
    corner, cell = np.array(CORNERS, dtype=np.float64), np.arange(len(edge))
    following = (edge + 1) % 4
    here, there = value[edge, cell], value[following, cell]
    part = (level - here) / (there - here)
    return np.asarray(corner[edge] + part[:, None] * (corner[following] - corner[edge]))


def _hull_area(points: Floats) -> float:
    """Return the area of the convex hull of points (m, 2); NaN where they span no area."""
    try:
        return float(ConvexHull(points).volume)  # `volume` of a hull in the plane is its area
    except (QhullError, ValueError):
        return float("nan")
