"""Render images: tissues in slices, receive field, noise, and integers for the file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..acquisition.contrasts import Contrast, Stored
from ..acquisition.grid import Grid, Pose
from ..acquisition.scanner import Scanner, bias_field, gaussian, rician
from ..acquisition.tissues import Tissue
from ..anatomy.geometry import Anatomy
from ..anatomy.local import localise
from ..anatomy.parts import Float32
from .scene import Canvas, Ramp, add_texture, paint, sample_texture, texture_fields
from .surroundings import paint_surroundings

#: Stored integers: magnitude of white matter; zero of a signed image; largest value of a ratio image.
WHITE_LEVEL, SIGNED_ZERO, RATIO_RANGE = 400.0, 2048.0, 4095.0
#: A large view is painted in slabs of about this many voxels, which need about 0.2 GB.
SLAB_VOXELS = 800_000


def paint_grid(an: Anatomy, grid: Grid, pose: Pose, signals: dict[Tissue, float], fields: Float32) -> Canvas:
    """Paint an anatomy on a grid. Thick slices are the weighted mean of several depths.

    Parameters
    ----------
    an, grid, pose : anatomy, grid of the voxels, position of the participant
    signals : signal of each tissue, relative to white matter
    fields : see ``texture_fields``
    """
    pose = pose.seen_from(grid)
    depths = 1 if grid.thick is None else 5
    axis = 2 if grid.thick is None else grid.thick
    thickness = grid.spacing_mm[axis]
    # The profile of a two-dimensional slice is not a box: it is weaker at the edges and a little thicker than its name.
    offsets = np.linspace(-0.55, 0.55, depths) * thickness if depths > 1 else np.zeros(1)
    weights = np.array([0.5, 1.0, 1.0, 1.0, 0.5]) if depths > 1 else np.ones(1)
    weights /= weights.sum()
    steps = [*grid.spacing_mm]
    steps[axis] = thickness if depths == 1 else thickness * 1.1 / (depths - 1)
    ramp = Ramp(float(np.mean(steps[:2])), steps[2])
    x, y, z = grid.points()
    total = Canvas.empty(x.size)
    # All depths use one sample of the texture: sampling costs most of the time, and a thick slice would not show more.
    middle = localise(an, *(p.astype(np.float32) for p in pose.to_anatomy(x, y, z)), steps=2)
    texture = sample_texture(fields, middle)
    for offset, weight in zip(offsets, weights, strict=True):
        moved = [x, y, z]
        moved[axis] = moved[axis] + offset
        where = [p.astype(np.float32) for p in pose.to_anatomy(*moved)]
        at = localise(an, *where, steps=2)
        canvas = Canvas.empty(x.size)
        if an.ends is None:
            paint(canvas, an, at, signals, ramp, texture)
        else:
            paint_surroundings(canvas, an, an.ends, np.stack(where), at, signals, ramp, texture)
        add_texture(canvas, texture[1])
        for name in ("signal", "texture", "outside", "csf"):
            getattr(total, name)[:] += np.float32(weight) * getattr(canvas, name)
    return total


def _paint_slabs(an: Anatomy, grid: Grid, pose: Pose, signals: dict[Tissue, float], fields: Float32) -> Float32:
    """Return the signal (nx, ny, nz) on a grid, relative to white matter."""
    slabs = grid.slabs(SLAB_VOXELS) if an.ends else [grid]
    parts = [paint_grid(an, slab, pose, signals, fields).signal.reshape(slab.shape) for slab in slabs]
    return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]


def _receive_field(grid: Grid, scanner: Scanner, rng: np.random.Generator) -> Float32:
    """Return the factor (nx, ny, nz) of bias field and coil at every voxel."""
    if grid.turn is None:
        y = grid.axis(1).astype(np.float32)[None, :, None]
    else:
        i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
        a, b, c, d = grid.affine[1]
        y = (a * i + b * j + c * k + d).astype(np.float32)
    field: Float32 = bias_field(grid.shape, rng, scanner.bias) * np.exp(-scanner.coil * y / 10)
    return field


def render_image(an: Anatomy, contrast: Contrast, grid: Grid, pose: Pose, scanner: Scanner,
                 rng: np.random.Generator, fields: Float32 | None = None) -> NDArray[np.int16]:  # fmt: skip
    """Return the image of one contrast, (nx, ny, nz) int16.

    In magnitude images white matter is near 400. In signed images 0 is stored as 2048, and white matter is 400 above or
    below it. In ratio images -0.5 to 0.5 is stored as 0 to 4095; the receive field cancels, and noise fills the air.

    Parameters
    ----------
    an, contrast, grid, pose, scanner : what is imaged and how
    rng : source of bias field and noise
    fields : result of ``texture_fields`` for this anatomy, where it was computed before
    """
    fields = texture_fields(an.texture_seed) if fields is None else fields
    blur = tuple(scanner.blur if size < 2 else 0 for size in grid.spacing_mm)
    images = [
        ndimage.gaussian_filter(_paint_slabs(an, grid, pose, signals, fields), blur)
        for signals in contrast.acquired(scanner.protocol(contrast.protocol))
    ]
    received = _receive_field(grid, scanner, rng)
    for image in images:
        image *= received
    sd = contrast.noise * scanner.noise
    if contrast.stored is Stored.MAGNITUDE:
        level = rician(images[0], sd, rng) * WHITE_LEVEL
    elif contrast.stored is Stored.SIGNED:
        level = gaussian(images[0], sd, rng) * WHITE_LEVEL + SIGNED_ZERO
    else:
        first, second = (gaussian(image, sd, rng) for image in images)
        level = (first * second / np.maximum(first**2 + second**2, np.float32(1e-12)) + 0.5) * RATIO_RANGE
    stored: NDArray[np.int16] = np.clip(np.rint(level), 0, 32767).astype(np.int16)
    return stored
