"""One cord seen by the six contrasts: their native resolutions, each with its own sub-voxel offset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
from support.rendering import Cord, Section, render

from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume

SPACING_MM = {
    "T1w": (1.0, 1.0, 1.0),
    "T2w": (0.8, 0.8, 0.8),
    "T2star": (0.5, 0.5, 5.0),
    "MTon": (0.9, 0.9, 5.0),
    "MToff": (0.9, 0.9, 5.0),
    "DWI": (0.9, 0.9, 5.0),
}
LENGTH_MM = 60.0
#: Gently curved and leaning: up to 18 and 28 degrees within the field of view.
PATHS: Mapping[str, dict[str, float]] = {
    "tilts 12, 15": {"tilt_rl": 12.0, "tilt_ap": 15.0},
    "radius 150": {"radius": 150.0, "azimuth": 20.0, "apex": 15.0},
    "radius 100": {"radius": 100.0, "azimuth": -15.0, "apex": -12.0},
}
#: Heights of the discs above the middle of the cord, mm.
DISCS_MM = {2: 19.0, 3: 3.5, 4: -12.0}


def native(shapes: Mapping[str, Section], params: Measure) -> Iterator[tuple[str, dict[str, float], float]]:
    """Label of each cord, the range's CSA by contrast, and the true area."""
    rng = np.random.default_rng(6)
    for (shape, section), (path, bend) in product(shapes.items(), PATHS.items()):
        found = {}
        for contrast, spacing in SPACING_MM.items():
            offset = rng.uniform(-0.5, 0.5, 2) * spacing[:2]
            cord = render(section, spacing, round(LENGTH_MM / spacing[2]), offset=(offset[0], offset[1]), **bend)
            table = measure_volume(cord.volume, discs_of(cord), params)
            found[contrast] = float(table.loc[table["scope"] == "range", "csa_mm2"].item())
        yield f"{shape}, {path}", found, section.area_mm2


def discs_of(cord: Cord) -> Volume:
    """Labels on the centreline, in the slices that hold the discs' heights."""
    px, py, pz = cord.volume.spacing_mm
    data = np.zeros_like(cord.volume.data)
    for number, height_mm in DISCS_MM.items():
        index = int(height_mm / pz + data.shape[2] / 2)
        x, y = cord.axis_mm[index]
        data[round(x / px), round(y / py), index] = number
    return Volume(data, cord.volume.affine)
