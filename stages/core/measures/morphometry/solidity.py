"""Solidity of each slice: the part of its convex hull that the cord fills."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from skimage.measure import find_contours

Floats = NDArray[np.float64]


def solidity(data: Floats) -> Floats:
    """Return the area inside the contour at half of the slice's maximum, over the area of the contour's convex hull.

    The contour is interpolated linearly between voxel centres (marching squares), so that a convex cord has a solidity
    near 1 at any voxel size. The contour of a binary mask runs through the middles of the edges between voxels. The
    area of holes is subtracted. The ratio is the same in the slice and in the tilt-corrected section, because the
    projection between them is linear.

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
    padded = np.pad(data, ((1, 1), (1, 1), (0, 0)))
    half = 0.5 * data.max(axis=(0, 1))
    return np.array([_of_slice(padded[:, :, k], float(half[k])) for k in range(data.shape[2])], dtype=np.float64)


def _of_slice(values: Floats, half: float) -> float:
    contours: list[Floats] = find_contours(values, half)  # type: ignore[no-untyped-call]
    # Contours around holes run the other way: their area has the other sign. The areas are added in a loop because
    # sum() rounds differently from Python 3.12 on: the last digit would depend on the Python.
    signed = 0.0
    for contour in contours:
        signed += _shoelace(contour)
    area = abs(signed)
    if area == 0.0:
        return float("nan")
    try:
        hull = ConvexHull(np.concatenate(contours))
    except QhullError:
        return float("nan")
    return min(1.0, area / float(hull.volume))  # `volume` of a hull in the plane is its area


def _shoelace(contour: Floats) -> float:
    """Return the signed area inside a closed contour (n, 2)."""
    x, y = contour[:, 0], contour[:, 1]
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2.0
