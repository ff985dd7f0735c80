"""Agreement between a predicted and a reference mask on one grid.

dice            2 |P and R| / (|P| + |R|); 0 to 1, higher is better; both empty NaN, one empty 0
                (Dice 1945, doi:10.2307/1932409)
rve_percent     100 (V_P - V_R) / V_R; signed, negative = under-segmentation; reference empty NaN
volume_*_mm3    number of voxels times voxel volume
assd_mm, hd95_mm  distances of the surfaces (stages/core/measures/cohort/surfaces.py); either empty NaN
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...base.errors import CordriftError
from ...images.volumes import Volume, grid_difference
from .surfaces import surface_distances

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
