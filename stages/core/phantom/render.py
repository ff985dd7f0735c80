"""From geometry to volumes: grids, cord occupancy, images, disc labels, the analytic area of every slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from stages.core.phantom.contrasts import Contrast
from stages.core.phantom.geometry import Anatomy, Float32, cord_distance, localise
from stages.core.phantom.grid import Grid, Pose
from stages.core.phantom.scanner import Scanner, bias_field, rician
from stages.core.phantom.scene import Canvas, Ramp, paint, sample_texture, texture_fields
from stages.core.phantom.tissues import Tissue

#: Largest step (mm) between sub-samples, across the cord and along it (its surface runs nearly along z). The number of
#: steps in a voxel is always odd: with an even one the middle of a voxel falls between samples, and ties at 0.5 shift
#: the area of the binarised mask by 3-4 mm2.
STEP_MM, STEP_ALONG_MM = 0.17, 0.34
#: Signal of white matter in the stored integers.
WHITE_LEVEL = 400.0


def odd_parts(size_mm: float, step_mm: float) -> int:
    """Return the smallest odd number of parts of ``size_mm`` that are no longer than ``step_mm``."""
    return 2 * math.ceil((size_mm / step_mm - 1) / 2 - 1e-9) + 1 if size_mm > step_mm else 1


def cord_occupancy(
    an: Anatomy, grid: Grid, pose: Pose, *, area_factor: float = 1.0, step_mm: float = STEP_MM
) -> Float32:
    """Return the share of every voxel that the cord fills, (nx, ny, nz) float32 in [0, 1].

    Voxels that the surface may cross are cut into parts of at most ``step_mm``, each with the share that a flat
    surface at the distance of its centre leaves inside. ``area_factor`` scales the cross-section.
    """
    x, y, z = grid.points()
    out = np.zeros(x.shape, np.float64)
    spacing = np.array(grid.spacing_mm)
    # Only a box around the cord is worth a look.
    reach = float(an.tables.cord_a.max()) + 0.5 * float(np.linalg.norm(spacing)) + 2.0
    centre = pose.to_world(an.centre(np.linspace(-80, 80, 321)))
    cx, cy = np.interp(z, centre[:, 2], centre[:, 0]), np.interp(z, centre[:, 2], centre[:, 1])
    box = np.flatnonzero((np.abs(x - cx) < reach + spacing[2] * 0.4) & (np.abs(y - cy) < reach + spacing[2] * 0.4))
    at = localise(an, *pose.to_anatomy(x[box], y[box], z[box]))
    distance = cord_distance(an, at, area_factor=area_factor)
    # A voxel's corner lies at most half a diagonal away; the cord runs within 40 degrees of z.
    across = 0.5 * float(np.hypot(np.hypot(spacing[0], spacing[1]), spacing[2] * 0.7)) * 1.25
    out[box[distance < -across]] = 1.0
    edge = box[np.abs(distance) <= across]
    steps = (step_mm, step_mm, STEP_ALONG_MM * step_mm / STEP_MM)
    parts = [odd_parts(size, step) for size, step in zip(grid.spacing_mm, steps, strict=True)]
    offsets = [((np.arange(n) + 0.5) / n - 0.5) * size for n, size in zip(parts, spacing, strict=True)]
    width = 0.5 * float(spacing[0] / parts[0] + spacing[1] / parts[1])
    total = np.zeros(edge.shape)
    for dz in offsets[2]:
        for dx in offsets[0]:
            ox, oy = np.broadcast_arrays(x[edge][:, None] + dx, y[edge][:, None] + offsets[1])
            oz = np.broadcast_to(z[edge][:, None] + dz, ox.shape)
            sub = localise(an, *pose.to_anatomy(ox.ravel(), oy.ravel(), oz.ravel()), steps=2)
            d = cord_distance(an, sub, area_factor=area_factor).reshape(ox.shape)
            total += np.clip(0.5 - d / width, 0, 1).sum(axis=1)
    out[edge] = total / (parts[0] * parts[1] * parts[2])
    return out.reshape(grid.shape).astype(np.float32)


def slice_truth(an: Anatomy, grid: Grid, pose: Pose) -> pd.DataFrame:
    """Return the true cord of every slice: one row a slice, bottom to top.

    Columns: slice, z_mm (world), csa_mm2 (perpendicular to the centreline where it crosses the slice's middle),
    angle_deg (between centreline and z), level (vertebra, 0 above the first and below the last disc).
    """
    s = np.linspace(-85.0, 85.0, 17001)
    world = pose.to_world(an.centre(s))
    z = grid.axis(2)
    at = np.interp(z, world[:, 2], s)
    tangent = an.tangent(at) @ pose.turn.T
    level = np.zeros(len(z), int)
    for label, disc in an.discs_s_mm.items():
        if label + 1 in an.discs_s_mm:
            level[(at <= disc) & (at > an.discs_s_mm[label + 1])] = label
    return pd.DataFrame({
        "slice": np.arange(len(z)), "z_mm": z, "csa_mm2": an.csa(at),
        "angle_deg": np.degrees(np.arccos(np.clip(tangent[:, 2], -1, 1))), "level": level,
    })  # fmt: skip


def disc_labels(an: Anatomy, grid: Grid, pose: Pose) -> NDArray[np.uint8]:
    """Return single voxels on the centreline, value v = disc above vertebra v, where the grid holds them."""
    out = np.zeros(grid.shape, np.uint8)
    for label, s in sorted(an.discs_s_mm.items()):
        point = pose.to_world(an.centre(np.array([s])))[0]
        i, j, k = (round(float((p - o) / d)) for p, o, d in zip(point, grid.origin_mm, grid.spacing_mm, strict=True))
        if 0 <= i < grid.shape[0] and 0 <= j < grid.shape[1] and 0 <= k < grid.shape[2] and not out[i, j, k]:
            out[i, j, k] = label
    return out


def paint_grid(an: Anatomy, grid: Grid, pose: Pose, signals: dict[Tissue, float], fields: Float32) -> Canvas:
    """Paint an anatomy on a grid; thick slices are sampled at several depths and weighted by the slice profile."""
    dz = grid.spacing_mm[2]
    depths = 1 if dz < 2 else 5
    # Two-dimensional slices excite a bell rather than a box: a little beyond the nominal thickness, less at its edge.
    offsets = np.linspace(-0.55, 0.55, depths) * dz if depths > 1 else np.zeros(1)
    weights = np.array([0.5, 1.0, 1.0, 1.0, 0.5]) if depths > 1 else np.ones(1)
    weights /= weights.sum()
    plane = float(np.mean(grid.spacing_mm[:2]))
    ramp = Ramp(plane, dz if depths == 1 else dz * 1.1 / (depths - 1))
    x, y, z = grid.points()
    total = Canvas.empty(x.size)
    # Texture is drawn once for all depths: it would not resolve them, and sampling it is what costs most.
    middle = localise(an, *(p.astype(np.float32) for p in pose.to_anatomy(x, y, z)), steps=2)
    texture = sample_texture(fields, middle)
    for offset, weight in zip(offsets, weights, strict=True):
        at = localise(an, *(p.astype(np.float32) for p in pose.to_anatomy(x, y, z + offset)), steps=2)
        canvas = Canvas.empty(x.size)
        paint(canvas, an, at, signals, ramp, texture)
        for name in ("signal", "texture", "outside", "csf"):
            getattr(total, name)[:] += np.float32(weight) * getattr(canvas, name)
    return total


def render_image(an: Anatomy, contrast: Contrast, grid: Grid, pose: Pose, scanner: Scanner,
                 rng: np.random.Generator, fields: Float32 | None = None) -> NDArray[np.int16]:  # fmt: skip
    """Return one contrast of one participant, (nx, ny, nz) int16, white matter near 400."""
    fields = texture_fields(an.texture_seed) if fields is None else fields
    signal = paint_grid(an, grid, pose, contrast.signals(scanner.protocol(contrast.protocol)), fields).signal
    image = signal.reshape(grid.shape)
    image = ndimage.gaussian_filter(image, (scanner.blur, scanner.blur, scanner.blur if grid.spacing_mm[2] < 2 else 0))
    y = grid.axis(1).astype(np.float32)
    image *= bias_field(grid.shape, rng, scanner.bias) * np.exp(-scanner.coil * y / 10)[None, :, None]
    image = rician(image, contrast.noise * scanner.noise, rng)
    stored: NDArray[np.int16] = np.clip(np.rint(image * WHITE_LEVEL), 0, 32767).astype(np.int16)
    return stored


@dataclass(frozen=True)
class RenderedCase:
    """One contrast of one participant, every array (nx, ny, nz) on ``grid`` in canonical axes.

    Attributes
    ----------
    image : int16
    soft : share of the voxel that the cord fills, float32 in [0, 1]
    binary : soft >= 0.5, uint8
    rater : as a human rater would draw it for this contrast, uint8
    discs : single voxels, value = label, uint8
    truth : :func:`slice_truth`
    """

    grid: Grid
    image: NDArray[np.int16]
    soft: Float32
    binary: NDArray[np.uint8]
    rater: NDArray[np.uint8]
    discs: NDArray[np.uint8]
    truth: pd.DataFrame


#: Field of view (mm) and its centre in the world; C2/C3 lies 0 to 4 mm above the origin.
EXTENT_MM = (64.0, 80.0, 80.0)
CENTRE_MM = (0.0, 1.0, 0.0)


def render_case(an: Anatomy, contrast: Contrast, scanner: Scanner, rng: np.random.Generator, *,
                extent_mm: tuple[float, float, float] = EXTENT_MM,
                fields: Float32 | None = None) -> RenderedCase:  # fmt: skip
    """Render one contrast of one participant with its truths.

    Parameters
    ----------
    rng : seeds the motion, the placing of the grid, the rater, the bias field and the noise
    fields : :func:`stages.core.phantom.scene.texture_fields` of this anatomy, to save their making
    """
    pose = Pose.draw(rng)
    jitter = rng.uniform(-0.5, 0.5, 3) * np.array(contrast.spacing_mm)
    rater_factor = 1.0 + contrast.rater_bias + 0.006 * float(rng.standard_normal())
    centre = (CENTRE_MM[0] + float(jitter[0]), CENTRE_MM[1] + float(jitter[1]), CENTRE_MM[2] + float(jitter[2]))
    grid = Grid.around(extent_mm, contrast.spacing_mm, centre)
    soft = np.round(cord_occupancy(an, grid, pose), 4)
    rater = cord_occupancy(an, grid, pose, area_factor=rater_factor, step_mm=2 * STEP_MM)
    return RenderedCase(
        grid=grid,
        image=render_image(an, contrast, grid, pose, scanner, rng, fields),
        soft=soft,
        binary=(soft >= 0.5).astype(np.uint8),
        rater=(rater >= 0.5).astype(np.uint8),
        discs=disc_labels(an, grid, pose),
        truth=slice_truth(an, grid, pose),
    )
