"""Solidity of each slice: how much of its convex hull the cord fills."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from skimage.measure import find_contours

Floats = NDArray[np.float64]


def solidity(data: Floats) -> Floats:
    """Area inside the contour at half of the slice's maximum over the area of that contour's convex hull.

    The contour runs between voxel centres by linear interpolation (marching squares), so that a convex cord has a
    solidity near 1 at any voxel size, and a binary mask is outlined through the middles of its voxel edges. Area of
    holes is taken off. The ratio is the same in the slice and in the tilt-corrected section: the projection between
    them is linear.

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
    return min(1.0, area / float(hull.volume))  # of a hull in the plane, `volume` is the area


def _shoelace(contour: Floats) -> float:
    x, y = contour[:, 0], contour[:, 1]
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2.0
