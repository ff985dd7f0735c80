"""Domain-randomised training volumes: the anatomy of the phantom with random contrasts, surroundings and scanners.

A network that is trained on such volumes learns what the cord has in common in all contrasts. The method follows
doi:10.1016/j.media.2023.102789 (SynthSeg), with painted anatomy in the place of label maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..acquisition.grid import Grid
from ..acquisition.randomised import acquire, disturb, draw_signals
from ..acquisition.scanner import bias_field, smooth_field
from ..anatomy.draw import draw_anatomy
from ..anatomy.local import cord_distance, localise
from ..anatomy.parts import Float, Float32
from .images import WHITE_LEVEL
from .scene import Canvas, Ramp, add_texture, paint, sample_texture, texture_fields


@dataclass(frozen=True)
class SynthVolume:
    """A training volume on a 1 mm grid: image int16 and mask uint8, both (nx, ny, nz), affine (4, 4)."""

    image: NDArray[np.int16]
    mask: NDArray[np.uint8]
    affine: Float


def render_synth(rng: np.random.Generator) -> SynthVolume:
    """Render one training volume (about 1 s); ``rng`` is the source of every choice."""
    an = draw_anatomy(rng, wide=True)
    grid = _draw_grid(rng)
    middle = np.array([grid.origin_mm[2] + 0.5 * grid.shape[2]])
    x, y, z, scale = warp(grid, rng, an.centre(middle)[0])
    at = localise(an, x, y, z, steps=2)
    mask = (cord_distance(an, at) < 0).reshape(grid.shape)
    canvas = Canvas.empty(x.size)
    texture = sample_texture(texture_fields(an.texture_seed), at)
    paint(canvas, an, at, draw_signals(rng), Ramp(1.0 / scale, 1.0 / scale), texture)
    add_texture(canvas, texture[1])
    signal, outside, csf = (part.reshape(grid.shape) for part in (canvas.signal, canvas.outside, canvas.csf))
    image = disturb(signal, outside, csf, rng)
    image *= bias_field(grid.shape, rng, float(rng.uniform(0, 0.3)))
    image = acquire(image, rng)
    image = np.clip(image / max(float(np.percentile(image, 99.5)), 1e-3), 0, 2) ** np.float32(rng.uniform(0.7, 1.4))
    stored = np.clip(np.rint(image * 2 * WHITE_LEVEL), 0, 32767).astype(np.int16)
    flips = tuple(axis for axis, chance in ((0, 0.5), (1, 0.1), (2, 0.25)) if rng.uniform() < chance)
    return SynthVolume(
        np.ascontiguousarray(np.flip(stored, flips)),
        np.ascontiguousarray(np.flip(mask, flips).astype(np.uint8)),
        grid.affine,
    )


def _draw_grid(rng: np.random.Generator) -> Grid:
    """Return a random field of view near the origin: the whole neck or a narrow part of it."""
    narrow = rng.uniform() < 0.4
    low, high = ((34, 50), (50, 80))[0 if narrow else 1]
    extent = (float(rng.uniform(low, high)), float(rng.uniform(low, high * 1.1)), float(rng.uniform(40, 84)))
    # The cord may lie anywhere in the crop, but mostly inside it.
    centre = [float(np.clip(rng.normal(0, 0.12), -0.3, 0.3) * e) for e in extent[:2]]
    return Grid.around(extent, (1.0, 1.0, 1.0), (centre[0], centre[1], float(rng.uniform(-18, 18))))


def warp(
    grid: Grid, rng: np.random.Generator, anchor_mm: Float, *, bend_mm: float = 0.0
) -> tuple[Float32, Float32, Float32, float]:
    """Return x, y, z (mm) in the anatomy for every voxel, and the mean scale.

    The transformation is a rotation of up to 17 degrees per axis, a scale of 0.8 to 1.25, and an elastic deformation.

    Parameters
    ----------
    grid : grid of n voxels
    rng : source of every choice
    anchor_mm : (3,) point of the anatomy that comes to lie in the middle of the grid (in x and y: in its origin)
    bend_mm : SD of a further shift from front to back, as echo-planar images are distorted
    """
    turn = Rotation.from_euler("xyz", rng.uniform(-17, 17, 3) * rng.uniform(0, 1), degrees=True).as_matrix()
    scale = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    stretch = scale * np.exp(rng.uniform(-0.06, 0.06, 3))
    middle = np.array([0.0, 0.0, grid.origin_mm[2] + 0.5 * grid.shape[2] * grid.spacing_mm[2]])
    matrix = (turn / stretch[:, None]).astype(np.float32)
    points = np.stack(grid.points()).astype(np.float32) - middle[:, None].astype(np.float32)
    moved = matrix @ points + anchor_mm[:, None].astype(np.float32)
    amplitude = float(rng.uniform(0, 1.2))
    nodes = tuple(max(2, round(n / 20) + 1) for n in grid.shape)
    for k in range(3):
        moved[k] += amplitude * smooth_field(grid.shape, nodes, rng).ravel()
    if bend_mm:
        moved[1] += np.float32(bend_mm) * smooth_field(grid.shape, nodes, rng).ravel()
    return moved[0], moved[1], moved[2], float(stretch.mean())
