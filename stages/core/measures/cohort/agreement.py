"""Agreement between a predicted and a reference mask on one grid.

dice            2 |P and R| / (|P| + |R|); 0 to 1, higher is better; both empty NaN, one empty 0
                (Dice 1945, doi:10.2307/1932409)
rve_percent     100 (V_P - V_R) / V_R; signed, negative = under-segmentation; reference empty NaN
volume_*_mm3    number of voxels times voxel volume
assd_mm, hd95_mm  distances of the surfaces; either empty NaN. The surface is what a face-connected erosion takes away:
                mask voxels with a face on the background or on the border
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...base.errors import CordriftError
from ...images.volumes import Volume, grid_difference

Mask = NDArray[np.bool_]

#: Values from here on belong to the cord.
THRESHOLD = 0.5


@dataclass(frozen=True)
class Agreement:
    """Overlap of two masks; ``flags`` names empty ones."""

    dice: float
    rve_percent: float
    volume_prediction_mm3: float
    volume_reference_mm3: float
    assd_mm: float
    hd95_mm: float
    flags: tuple[str, ...]


def agreement(prediction: Volume, reference: Volume) -> Agreement:
    """Compare two masks, each binarised at 0.5.

    Raises
    ------
    CordriftError
        The masks lie on different grids.
    """
    difference = grid_difference(prediction, reference)
    if difference:
        raise CordriftError(f"prediction and reference must lie on one grid, but {difference}.")
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
