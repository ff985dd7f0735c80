"""Render a case: share of the cord in every voxel, image, rater's mask, disc labels, and true area of every slice."""

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

#: Largest step (mm) between the samples in a voxel, across the cord and along it (where its surface changes little).
#: The number of steps in a voxel is odd. With an even number the middle of a voxel lies between two samples; many
#: voxels then have a share of exactly 0.5, which changes the area of the binary mask by 3 to 4 mm2.
STEP_MM, STEP_ALONG_MM = 0.17, 0.34
#: Relative random error (SD) of the area that a rater draws.
RATER_SD = 0.006


def odd_parts(size_mm: float, step_mm: float) -> int:
    """Return the smallest odd number of equal parts of ``size_mm`` of which none is longer than ``step_mm``.

    >>> odd_parts(1.0, 0.4)
    3
    """
    return 2 * math.ceil((size_mm / step_mm - 1) / 2 - 1e-9) + 1 if size_mm > step_mm else 1


def cord_occupancy(
    an: Anatomy, grid: Grid, pose: Pose, *, area_factor: float = 1.0, step_mm: float = STEP_MM
) -> Float32:
    """Return the share of every voxel that the cord fills, (nx, ny, nz) float32 in [0, 1].

    Voxels near the surface are cut into parts; the share of a part is that of a flat surface at the distance of its
    centre.

    Parameters
    ----------
    an : anatomy
    grid : grid of the voxels
    pose : position of the participant
    area_factor : factor for the area of the cord
    step_mm : largest size of the parts across the cord
    """
    slabs = grid.slabs(SLAB_VOXELS) if an.ends else [grid]
    parts = [_occupancy(an, slab, pose.seen_from(grid), area_factor, step_mm) for slab in slabs]
    return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]


def _occupancy(an: Anatomy, grid: Grid, pose: Pose, area_factor: float, step_mm: float) -> Float32:
    """Do the same as :func:`cord_occupancy` for one slab; ``pose`` is relative to the frame of the grid."""
    x, y, z = grid.points()
    out = np.zeros(x.shape, np.float64)
    spacing = np.array(grid.spacing_mm)
    # Only voxels in a box around the cord are computed. A turned grid can cut the cord at up to 60 degrees.
    reach = float(an.tables.cord_a.max()) + 0.5 * float(np.linalg.norm(spacing)) + 2.0
    reach *= 1.0 if grid.turn is None else 1.6
    centre = pose.to_world(an.centre(_along(an, 10.0, 0.5)))
    cx, cy = np.interp(z, centre[:, 2], centre[:, 0]), np.interp(z, centre[:, 2], centre[:, 1])
    box = np.flatnonzero((np.abs(x - cx) < reach + spacing[2] * 0.4) & (np.abs(y - cy) < reach + spacing[2] * 0.4))
    at = localise(an, *pose.to_anatomy(x[box], y[box], z[box]))
    distance = cord_distance(an, at, area_factor=area_factor)
    # A corner is at most half a diagonal away from the centre of its voxel. The angle between cord and z is below 40
    # degrees unless the grid is turned.
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
    """Return values of s (mm) along the centreline that are at least ``margin_mm`` inside the range of the tables."""
    last = an.reach_mm - margin_mm
    return np.linspace(-last, last, round(2 * last / step_mm) + 1)


def slice_truth(an: Anatomy, grid: Grid, pose: Pose) -> pd.DataFrame:
    """Return the truth about the cord in every slice, one row per slice from bottom to top.

    Columns
    -------
    slice : index
    z_mm : height in the world of the point where the centreline crosses the middle of the slice
    csa_mm2 : area perpendicular to the centreline there; NaN where the cord ends in the slice or below it
    angle_deg : angle between the centreline and the normal of the slice
    level : vertebra; 0 above the first and below the last disc
    """
    s = _along(an, 5.0, 0.01)
    in_frame = pose.seen_from(grid)
    points = in_frame.to_world(an.centre(s))
    z = grid.axis(2)
    at = np.interp(z, points[:, 2], s)
    tangent = an.tangent(at) @ in_frame.turn.T
    angle = np.arccos(np.clip(tangent[:, 2], -1, 1))
    area = an.csa(at)
    if an.ends:  # the flat end of a cord that is not vertical is lower on one side
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
    """Return a volume (nx, ny, nz) with one voxel per disc on the centreline: value v is the disc above vertebra v."""
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
    binary : 1 where soft >= 0.5, uint8
    rater : mask that a human rater would draw in this contrast, uint8
    discs : see :func:`disc_labels`
    truth : see :func:`slice_truth`
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
    """Render one contrast of one participant, with the truth about it.

    Parameters
    ----------
    an, contrast, scanner : anatomy of the participant, contrast, scanner of the site
    rng : source of motion, position of the grid, error of the rater, bias field and noise
    view : field of view; the anatomy of a large view has ``ends``
    fields : result of ``texture_fields`` for this anatomy, where it was computed before
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
