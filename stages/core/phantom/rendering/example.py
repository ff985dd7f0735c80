"""One small neck, always the same, to try something on that needs an image."""

from __future__ import annotations

import numpy as np

from ...images.volumes import Volume
from ..acquisition.contrasts import PHANTOM_CONTRASTS
from ..acquisition.grid import Grid, Pose
from ..acquisition.scanner import Scanner
from ..anatomy.draw import draw_anatomy
from .images import render_image


def example_volume() -> Volume:
    """Return a neck of 64 x 64 x 64 mm in T2w with voxels of 1 mm; rendering it takes about a second."""
    rng = np.random.default_rng(1)
    anatomy = draw_anatomy(rng)
    grid = Grid.around((64.0, 64.0, 64.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    image = render_image(anatomy, PHANTOM_CONTRASTS["T2w"], grid, Pose(), Scanner("phantom"), rng)
    return Volume(image.astype(np.float32), grid.affine)
