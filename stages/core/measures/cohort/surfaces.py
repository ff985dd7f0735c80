"""Distances between the surfaces of two masks on one grid.

The surface is what a face-connected erosion takes away: mask voxels with a face on the background or on the border.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def surface_distances(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Return ASSD and HD95 in mm, both symmetric, 0 = the same surface; NaN where a mask is empty.

    ASSD: mean over the surface voxels of both masks, each once, of the distance to the nearest one of the other
    (Heimann et al. 2009, doi:10.1109/TMI.2009.2013851). HD95: the larger of both directed 95th percentiles
    (Huttenlocher et al. 1993, doi:10.1109/34.232073, with the percentile in the place of the maximum).

    Parameters
    ----------
    a, b : boolean, of one shape
    spacing_mm : between voxel centres along each axis
    """
    both = a | b
    if not (a.any() and b.any()):
        return math.nan, math.nan
    box = ndimage.find_objects(both.astype(np.uint8))[0]  # nothing beyond it is on either surface
    edges = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (a, b)]
    to_a, to_b = (ndimage.distance_transform_edt(~edge, sampling=spacing_mm) for edge in edges)
    from_a, from_b = to_b[edges[0]], to_a[edges[1]]
    assd = float(np.concatenate([from_a, from_b]).mean())
    return assd, float(max(np.percentile(from_a, 95), np.percentile(from_b, 95)))
