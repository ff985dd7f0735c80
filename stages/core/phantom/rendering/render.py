"""From geometry to a case: cord occupancy, image, rater's mask, disc labels, the analytic area of every slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..acquisition.contrasts import Contrast
from ..acquisition.grid import NECK, Grid, Pose, View
from ..acquisition.scanner import Scanner
from ..anatomy.geometry import Anatomy
from ..anatomy.local import cord_distance, localise
from ..anatomy.parts import Float, Float32
from .images import SLAB_VOXELS, render_image

#: Largest step (mm) between sub-samples, across the cord and along it (its surface runs nearly along z). The number of
#: steps in a voxel is always odd: with an even one the middle of a voxel falls between samples, and ties at 0.5 shift
#: the area of the binarised mask by 3-4 mm2.
STEP_MM, STEP_ALONG_MM = 0.17, 0.34
#: Random error of a rater's area, relative.
RATER_SD = 0.006


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
    slabs = grid.slabs(SLAB_VOXELS) if an.ends else [grid]
    parts = [_occupancy(an, slab, pose.seen_from(grid), area_factor, step_mm) for slab in slabs]
    return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]


def _occupancy(an: Anatomy, grid: Grid, pose: Pose, area_factor: float, step_mm: float) -> Float32:
    """As :func:`cord_occupancy`, the pose being that in the grid's frame."""
    x, y, z = grid.points()
    out = np.zeros(x.shape, np.float64)
    spacing = np.array(grid.spacing_mm)
    # Only a box around the cord is worth a look; a turned grid may cut the cord at up to 60 degrees.
    reach = float(an.tables.cord_a.max()) + 0.5 * float(np.linalg.norm(spacing)) + 2.0
    reach *= 1.0 if grid.turn is None else 1.6
    centre = pose.to_world(an.centre(_along(an, 10.0, 0.5)))
    cx, cy = np.interp(z, centre[:, 2], centre[:, 0]), np.interp(z, centre[:, 2], centre[:, 1])
    box = np.flatnonzero((np.abs(x - cx) < reach + spacing[2] * 0.4) & (np.abs(y - cy) < reach + spacing[2] * 0.4))
    at = localise(an, *pose.to_anatomy(x[box], y[box], z[box]))
    distance = cord_distance(an, at, area_factor=area_factor)
    # A voxel's corner lies at most half a diagonal away; the cord runs within 40 degrees of z, unless it is turned.
    tilt = 0.7 if grid.turn is None else 1.0
    across = 0.5 * float(np.hypot(np.hypot(spacing[0], spacing[1]), spacing[2] * tilt)) * 1.25
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


def _along(an: Anatomy, margin_mm: float, step_mm: float) -> Float:
    """Points along the centreline that stay ``margin_mm`` inside the tables."""
    last = an.reach_mm - margin_mm
    return np.linspace(-last, last, round(2 * last / step_mm) + 1)


def slice_truth(an: Anatomy, grid: Grid, pose: Pose) -> pd.DataFrame:
    """Return the true cord of every slice: one row a slice, bottom to top.

    Columns: slice, z_mm (world height of the centreline in the slice's middle), csa_mm2 (perpendicular to the
    centreline where it crosses the slice's middle; NaN where the cord's upper end is in the slice or below it),
    angle_deg (between centreline and the slice's normal), level (vertebra, 0 above the first and below the last disc).
    """
    s = _along(an, 5.0, 0.01)
    in_frame = pose.seen_from(grid)
    points = in_frame.to_world(an.centre(s))
    z = grid.axis(2)
    at = np.interp(z, points[:, 2], s)
    tangent = an.tangent(at) @ in_frame.turn.T
    angle = np.arccos(np.clip(tangent[:, 2], -1, 1))
    area = an.csa(at)
    if an.ends:  # the flat end of an oblique cord reaches down on one side
        half = 0.5 * grid.spacing_mm[2] / np.cos(angle) + float(an.tables.cord_a.max()) * np.tan(angle)
        area = np.where(at + half < an.ends.top_s_mm, area, np.nan)
    level = np.zeros(len(z), int)
    for label, disc in an.discs_s_mm.items():
        if label + 1 in an.discs_s_mm:
            level[(at <= disc) & (at > an.discs_s_mm[label + 1])] = label
    return pd.DataFrame({
        "slice": np.arange(len(z)), "z_mm": z if grid.turn is None else pose.to_world(an.centre(at))[:, 2],
        "csa_mm2": area, "angle_deg": np.degrees(angle), "level": level,
    })  # fmt: skip


def disc_labels(an: Anatomy, grid: Grid, pose: Pose) -> NDArray[np.uint8]:
    """Return single voxels on the centreline, value v = disc above vertebra v, where the grid holds them."""
    out = np.zeros(grid.shape, np.uint8)
    in_frame = pose.seen_from(grid)
    for label, s in sorted(an.discs_s_mm.items()):
        point = in_frame.to_world(an.centre(np.array([s])))[0]
        i, j, k = (round(float((p - o) / d)) for p, o, d in zip(point, grid.origin_mm, grid.spacing_mm, strict=True))
        if 0 <= i < grid.shape[0] and 0 <= j < grid.shape[1] and 0 <= k < grid.shape[2] and not out[i, j, k]:
            out[i, j, k] = label
    return out


@dataclass(frozen=True)
class Rendering:
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


def render_case(an: Anatomy, contrast: Contrast, scanner: Scanner, rng: np.random.Generator, *,
                view: View = NECK, fields: Float32 | None = None) -> Rendering:  # fmt: skip
    """Render one contrast of one participant with its truths.

    Parameters
    ----------
    rng : seeds the motion, the placing of the grid, the rater, the bias field and the noise
    view : field of view; the anatomy of a large one has ``ends``
    fields : :func:`stages.core.phantom.rendering.scene.texture_fields` of this anatomy, to save their making
    """
    pose = Pose.draw(rng)
    spacing = view.spacing_mm or contrast.spacing_mm
    jitter = rng.uniform(-0.5, 0.5, 3) * np.array(spacing)
    rater_factor = 1.0 + contrast.rater_bias + RATER_SD * float(rng.standard_normal())
    x, y, z = (c + float(j) for c, j in zip(view.centre_mm, jitter, strict=True))
    grid = Grid.around(view.extent_mm, spacing, (x, y, z), view.turn)
    soft = np.round(cord_occupancy(an, grid, pose), 4)
    rater = cord_occupancy(an, grid, pose, area_factor=rater_factor, step_mm=2 * STEP_MM)
    return Rendering(
        grid=grid,
        image=render_image(an, contrast, grid, pose, scanner, rng, fields),
        soft=soft,
        binary=(soft >= 0.5).astype(np.uint8),
        rater=(rater >= 0.5).astype(np.uint8),
        discs=disc_labels(an, grid, pose),
        truth=slice_truth(an, grid, pose),
    )
