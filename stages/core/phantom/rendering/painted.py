"""Paint an anatomy that no cohort would have, as a map of tissues: the neck and what lies around it, also without cord.

A network that saw only necks takes vessels, joints and the fluid of the lumbar sac for a cord. So a part of the maps
lies far from the cord, some show the conus and the sac below it, and all have tubes and bodies of random tissues.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..acquisition.grid import Grid
from ..acquisition.tissue_map import DISTANCE_STEP_MM, REACH_MM, SHARE_STEP, TEXTURE_STEP, TissueMap
from ..acquisition.tissues import Tissue
from ..anatomy.draw import draw_anatomy, extend_anatomy
from ..anatomy.geometry import Anatomy
from ..anatomy.local import Local, cord_distance, localise
from ..anatomy.parts import Ends, Float, Float32
from ..anatomy.pathology import PATHOLOGIES, with_pathology
from ..anatomy.shapes import Point, ellipsoid, tube
from .randomise import warp
from .scene import Canvas, Painter, Ramp, paint, sample_texture, texture_fields
from .surroundings import paint_surroundings

#: Chances of the places: a piece of the neck, any height of a large view, the conus and the sac below, far away.
PLACES = {"neck": 0.4, "spine": 0.3, "conus": 0.15, "far": 0.15}
#: Longer grids (mm) reach beyond the curves of a neck.
NECK_MM = 120.0


@dataclass(frozen=True)
class Place:
    """What is painted: the anatomy, and the middle of the grid: s on the centreline, and how far away from it (mm)."""

    anatomy: Anatomy
    s_mm: float
    away_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def middle_mm(self) -> Float:
        """Point (3,) of the anatomy in the middle of the grid."""
        on: Float = self.anatomy.centre(np.array([self.s_mm]))[0]
        on[:2] += self.away_mm
        return on


def paint_tissue_map(rng: np.random.Generator, size: tuple[int, int, int], voxel_mm: float = 1.0) -> TissueMap:
    """Paint one anatomy.

    Parameters
    ----------
    rng : source of every choice
    size : number of voxels along x, y, z
    voxel_mm : size of the voxels
    """
    place = draw_place(rng, large=size[2] * voxel_mm > NECK_MM)
    an = place.anatomy
    extent = (size[0] * voxel_mm, size[1] * voxel_mm, size[2] * voxel_mm)
    grid = Grid.around(extent, (voxel_mm,) * 3, (0.0, 0.0, 0.0))
    x, y, z, scale = warp(grid, rng, place.middle_mm, bend_mm=float(rng.choice([0.0, 2.5], p=[0.7, 0.3])))
    at = localise(an, x, y, z, steps=3)
    ramp = Ramp(voxel_mm / scale, voxel_mm / scale)
    texture = sample_texture(texture_fields(an.texture_seed), at)
    canvas = Canvas.empty(x.size, len(Tissue))
    signals = dict(zip(Tissue, np.eye(len(Tissue), dtype=np.float32), strict=True))
    points = np.stack([x, y, z])
    if an.ends is None:
        paint(canvas, an, at, signals, ramp, texture)
    else:
        paint_surroundings(canvas, an, an.ends, points, at, signals, ramp, texture)
    _paint_bodies(canvas, points, at, ramp, rng)
    distance = np.clip(cord_distance(an, at) * scale, -REACH_MM, REACH_MM)
    return TissueMap(
        np.rint(canvas.signal.T.reshape(-1, *grid.shape) / SHARE_STEP).astype(np.uint8),
        np.rint(canvas.outside.reshape(grid.shape) / SHARE_STEP).astype(np.uint8),
        np.clip(np.rint(texture[1].reshape(grid.shape) / TEXTURE_STEP), -127, 127).astype(np.int8),
        np.rint(distance.reshape(grid.shape) / DISTANCE_STEP_MM).astype(np.int8),
    )


def draw_place(rng: np.random.Generator, *, large: bool = False) -> Place:
    """Draw an anatomy, with diseases in two of five, and the place of it that is painted.

    A ``large`` grid reaches beyond the neck, so that head and chest are always there.
    """
    an = draw_anatomy(rng, wide=True)
    if rng.uniform() < 0.4:
        an = with_pathology(an, str(rng.choice(sorted(PATHOLOGIES))), rng)
    kind = str(rng.choice(list(PLACES), p=list(PLACES.values())))
    aside = (float(rng.normal(0, 12)), float(rng.normal(0, 15)))
    if kind == "neck" and not large:
        return Place(an, float(rng.uniform(-18, 18)), aside)
    an = extend_anatomy(an)
    if kind in {"neck", "spine"}:
        return Place(an, float(rng.uniform(-170, 60)), aside)
    if kind == "conus":
        tip, top = float(rng.uniform(-190, -90)), an.discs_s_mm[2] + 20.0
        an = replace(an, ends=Ends(top, conus_s_mm=tip, conus_mm=float(rng.uniform(20, 50)), taper=0.0))
        return Place(an, tip + float(rng.uniform(-70, 50)), aside)
    angle, away = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(45, 90))
    return Place(an, float(rng.uniform(-170, 130)), (away * float(np.cos(angle)), away * float(np.sin(angle))))


def _paint_bodies(canvas: Canvas, p: Float32, at: Local, ramp: Ramp, rng: np.random.Generator) -> None:
    """Paint tubes with a wall, and ellipsoids, of random tissues and away from the canal.

    Parameters
    ----------
    canvas : n points, one signal for each tissue
    p : (3, n) the points, mm
    at : the same points in the coordinates of the centreline
    ramp : width of boundaries
    rng : source of every choice
    """
    signals = dict(zip(Tissue, np.eye(len(Tissue), dtype=np.float32), strict=True))
    painter = Painter(canvas, signals)
    away = np.flatnonzero(np.hypot(at.u, at.v) > 24)
    if not away.size:
        return
    points = p[:, away]
    low, high = points.min(axis=1), points.max(axis=1)
    tissues = list(Tissue)

    def point() -> Point:
        x, y, z = rng.uniform(low, high)
        return float(x), float(y), float(z)

    for _ in range(int(rng.integers(0, 7))):
        core, wall = (tissues[int(k)] for k in rng.integers(0, len(tissues), 2))
        if rng.uniform() < 0.6:
            radius = float(rng.uniform(2, 9))
            start, end = point(), point()
            if rng.uniform() < 0.6:  # along the body, as great vessels, airway and gullet are
                start, end = (start[0], start[1], float(low[2])), (start[0] + 5, start[1] + 5, float(high[2]))
            distance = tube(points, (start, end), radius)
        else:
            radii = rng.uniform(3, 18, 3)
            distance = ellipsoid(points, point(), (float(radii[0]), float(radii[1]), float(radii[2])))
        thick = float(rng.uniform(0.5, 4))
        painter.lay(away, ramp.share(distance - np.float32(thick)), wall)
        painter.lay(away, ramp.share(distance), core)
