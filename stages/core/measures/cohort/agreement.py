"""Agreement between a predicted mask P and a reference mask R on one grid.

dice            2 |P and R| / (|P| + |R|); 0 to 1, higher is better; NaN when both are empty, 0 when one is
                (Dice 1945, doi:10.2307/1932409)
rve_percent     relative volume error, 100 (V_P - V_R) / V_R; negative = under-segmentation; NaN when R is empty
volume_*_mm3    number of voxels times the volume of a voxel
assd_mm, hd95_mm  distances between the surfaces; NaN when one mask is empty. The surface are the voxels that an erosion
                removes: those with a face on the background or on the border of the volume
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...base.errors import ImageError
from ...images.volumes import Volume, grid_difference

Mask = NDArray[np.bool_]

#: Lowest value of a voxel that belongs to the cord.
THRESHOLD = 0.5


@dataclass(frozen=True)
class Agreement:
    """Agreement of two masks; ``flags`` names the masks that are empty."""

    dice: float
    rve_percent: float
    volume_prediction_mm3: float
    volume_reference_mm3: float
    assd_mm: float
    hd95_mm: float
    flags: tuple[str, ...]


def agreement(prediction: Volume, reference: Volume) -> Agreement:
    """Compare two masks, each binarised at 0.5.

    Two bars of four voxels share two of them: Dice is 2 * 2 / (4 + 4).

    >>> left, right = (np.zeros((6, 1, 1), np.float32) for _ in range(2))
    >>> left[0:4], right[2:6] = 1, 1
    >>> agreement(Volume(left, np.eye(4)), Volume(right, np.eye(4))).dice
    0.5

    Raises
    ------
    ImageError
        The masks lie on different grids.
    """
    difference = grid_difference(prediction, reference)
    if difference:
        raise ImageError(f"prediction and reference must lie on one grid, but {difference}.")
    p, r = prediction.data >= THRESHOLD, reference.data >= THRESHOLD
    n_p, n_r = int(p.sum()), int(r.sum())
    voxel_mm3 = float(np.prod(prediction.spacing_mm))
    flags = [name for name, n in (("prediction_empty", n_p), ("reference_empty", n_r)) if n == 0]
    dice = 2.0 * int((p & r).sum()) / (n_p + n_r) if n_p + n_r else float("nan")
    rve = 100.0 * (n_p - n_r) / n_r if n_r else float("nan")
    assd, hd95 = surface_distances(p, r, prediction.spacing_mm)
    return Agreement(dice, rve, n_p * voxel_mm3, n_r * voxel_mm3, assd, hd95, tuple(flags))


def surface_distances(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Return ASSD and HD95 in mm, both symmetric, 0 = the same surface; NaN where a mask is empty.

    ASSD (average symmetric surface distance): each surface voxel of both masks has a distance to the nearest surface
    voxel of the other mask; this is their mean (Heimann et al. 2009, doi:10.1109/TMI.2009.2013851). HD95 (Hausdorff
    distance): the 95th percentile of these distances for each mask, and the larger of the two (Huttenlocher et al.
    1993, doi:10.1109/34.232073, which uses the maximum).

    Two plates stand three voxels of 2 mm apart:

    >>> near, far = (np.zeros((6, 3, 3), bool) for _ in range(2))
    >>> near[1], far[4] = True, True
    >>> surface_distances(near, far, (2.0, 1.0, 1.0))
    (6.0, 6.0)

    Parameters
    ----------
    a, b : (nx, ny, nz) boolean, of one shape
    spacing_mm : distance between voxel centres along each axis
    """
    both = a | b
    if not (a.any() and b.any()):
        return math.nan, math.nan
    box = ndimage.find_objects(both.astype(np.uint8))[0]  # both surfaces lie inside it
    edges = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (a, b)]
    to_a, to_b = (ndimage.distance_transform_edt(~edge, sampling=spacing_mm) for edge in edges)
    from_a, from_b = to_b[edges[0]], to_a[edges[1]]
    assd = float(np.concatenate([from_a, from_b]).mean())
    return assd, float(max(np.percentile(from_a, 95), np.percentile(from_b, 95)))
