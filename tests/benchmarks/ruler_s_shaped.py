"""Round tubes along an S, whose area is known: a cord bends twice between the skull base and the chest.

A point lies in the tube when it is within the radius of the curve, so that every section across it is a circle. The
curve lies in a plane. The distance to it is found for 9 x 9 points in every voxel of that plane, and how far the tube
reaches to both sides of the plane follows exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from stages.core.images.volumes import Volume

Floats = NDArray[np.float64]
RADIUS_MM, LENGTH_MM = 5.0, 60.0
#: How far the S swings to either side (mm): it leans by up to 17 and 28 degrees where it is steepest.
SWINGS_MM = (3.0, 5.0)
SPACING_MM = ((0.5, 0.5, 1.0), (0.8, 0.8, 0.8), (0.9, 0.9, 5.0))
SAMPLES = 9


def s_shaped() -> Iterator[tuple[str, int, Volume, float, Floats]]:
    """Label, steepest lean (degrees), occupancy, true area (mm2) and true cosine of each slice of each tube."""
    for swing, spacing in product(SWINGS_MM, SPACING_MM):
        n = round(LENGTH_MM / spacing[2])
        wave = 2.0 * np.pi / (n * spacing[2])
        t = np.linspace(-8.0, n * spacing[2] + 8.0, 8000)
        curve = cKDTree(np.column_stack([swing * np.sin(wave * t), t]))
        reaches = RADIUS_MM + 2.0, RADIUS_MM + 2.0 + swing
        half = [int(np.ceil(far / size)) for far, size in zip(reaches, spacing, strict=False)]
        steps = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
        y = np.add.outer(np.arange(-half[1], half[1] + 1), steps).ravel() * spacing[1]
        z = np.add.outer(np.arange(n) + 0.5, steps).ravel() * spacing[2]
        away = curve.query(np.stack(np.meshgrid(y, z, indexing="ij"), -1))[0]
        reach = np.sqrt(np.clip(RADIUS_MM**2 - away**2, 0.0, None))
        # The part of each voxel along x that lies between -reach and reach.
        edges = (np.arange(-half[0], half[0] + 2) - 0.5) * spacing[0]
        covered = np.diff(np.clip(edges[:, None, None], -reach, reach), axis=0) / spacing[0]
        shape = (2 * half[0] + 1, 2 * half[1] + 1, SAMPLES, n, SAMPLES)
        data = covered.reshape(shape).mean(axis=(2, 4)).astype(np.float32)
        label = f"swing {swing:g} mm, {' x '.join(f'{size:g}' for size in spacing)} mm"
        slope = swing * wave * np.cos(wave * (np.arange(n) + 0.5) * spacing[2])
        lean = round(float(np.degrees(np.arctan(swing * wave))))
        yield (
            label,
            lean,
            Volume(data, np.diag([*spacing, 1.0])),
            float(np.pi * RADIUS_MM**2),
            1.0 / np.hypot(1.0, slope),
        )
