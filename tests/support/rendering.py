"""Cords of known area as the occupancy of voxels: closed sections, moved along a line or an arc and rendered exactly.

A section lies perpendicular to the centreline (sections.py), with u to the right and v to the front. A plane of
constant z cuts a straight cord in an affine image of the section, and an arc in an image that is known for each vertex,
so that each cut is a polygon too. The part of each pixel that this polygon covers is summed from the edges of the
polygon (as fonts are rasterised), without sub-sampling. Through the thickness of a slice the sum is taken over
Gauss-Legendre nodes. Sums over a slice are therefore exact to the rounding of float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stages.core.images.volumes import Volume
from support.sections import Section, dented, ellipse, polygon_moments, superellipse

__all__ = ["Cord", "Section", "binarised", "dented", "ellipse", "polygon_moments", "render", "superellipse"]

Floats = NDArray[np.float64]
#: Least number of Gauss-Legendre nodes through a slice, and how many are added for each pixel that the cord moves.
NODES, NODES_PER_PIXEL = 5, 2
#: Number of edges that are computed together, to limit the memory.
BATCH = 1 << 19
#: A smaller coverage is a rounding error of the sum over edges.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Cord:
    """A rendered cord of n slices with its true measures.

    Attributes
    ----------
    volume : occupancy of the voxels
    sampled : 0 or 1, whether the centre of a voxel lies in the cord, as in a manual or resampled label
    truth_mm2 : (n,) analytic area perpendicular to the centreline
    cosine : (n,) cosine between the centreline and the slice normal, at the slice's middle
    area_in_plane_mm2 : (n,) area in the slice, averaged over its thickness; truth / cosine where the cord is straight
    centre_mm : (n, 2) in-plane centroid x, y, mm from the first voxel's centre, averaged over the slice's thickness
    axis_mm : (n, 2) where the centreline meets the slice's middle, in the same frame
    diameters_mm : right-left and front-back diameter (4 sigma along the world axis projected into the section) of a
        straight cord; NaN for an arc
    """

    volume: Volume
    sampled: Volume
    truth_mm2: Floats
    cosine: Floats
    area_in_plane_mm2: Floats
    centre_mm: Floats
    axis_mm: Floats
    diameters_mm: tuple[float, float]


def coverage(polygons: Floats, shape: tuple[int, int]) -> Floats:
    """Return the areas (m, nx, ny) of the pixels that counter-clockwise polygons (m, n, 2) cover; all in pixels.

    Pixel (i, j) spans [i, i + 1) x [j, j + 1); polygons lie inside. Each edge adds the area on its right within its
    own pixel, and its height to all pixels to the right in the row: a running sum along x.
    """
    nx, ny = shape
    count = len(polygons)
    start, end = polygons, np.roll(polygons, -1, axis=1)
    if np.abs(end - start).max() > 1.0:
        raise ValueError("an edge is longer than a pixel: use more vertices")
    # Edges are shorter than a pixel, so each crosses at most one grid line along x and one along y: up to three parts.
    low, high = np.floor(np.minimum(start, end)), np.floor(np.maximum(start, end))
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.where(high > low, (high - start) / (end - start), 0.0)
    cuts = np.sort(cut, axis=2)
    stops = [np.zeros(cuts.shape[:2]), cuts[:, :, 0], cuts[:, :, 1], np.ones(cuts.shape[:2])]
    total = np.zeros(count * (nx + 1) * ny)
    which = np.broadcast_to(np.arange(count)[:, None], cuts.shape[:2])
    for before, after in pairwise(stops):
        used = after > before
        t, length, p, d = (before + after)[used] / 2.0, (after - before)[used], start[used], (end - start)[used]
        middle = p + t[:, None] * d
        column, row = np.floor(middle[:, 0]).astype(np.int64), np.floor(middle[:, 1]).astype(np.int64)
        height, right = -d[:, 1] * length, column + 1 - middle[:, 0]
        where = (which[used] * (nx + 1) + column) * ny + row
        total += np.bincount(where, height * right, len(total))
        total += np.bincount(where + ny, height * (1.0 - right), len(total))
    return np.asarray(np.cumsum(total.reshape(count, nx + 1, ny), axis=1)[:, :nx])


@dataclass(frozen=True)
class Straight:
    """A line tilted by slopes dx/dz and dy/dz; the section's u is world x projected into the section."""

    slope: Floats

    def frame(self) -> tuple[Floats, Floats, Floats]:
        """Return the unit vectors u, v and tangent."""
        tangent = np.array([*self.slope, 1.0]) / np.sqrt(1.0 + self.slope @ self.slope)
        u = np.array([1.0, 0.0, 0.0]) - tangent[0] * tangent
        u /= np.linalg.norm(u)
        return u, np.cross(tangent, u), tangent

    def axis(self, z: Floats) -> Floats:
        return np.asarray(z[:, None] * self.slope)

    def cosine(self, z: Floats) -> Floats:
        return np.full(len(z), 1.0 / np.sqrt(1.0 + self.slope @ self.slope))

    def cut(self, points: Floats, z: Floats) -> Floats:
        """Return the points (m, n, 2) where lines through the points (n, 2) of the section meet the planes z (m,)."""
        u, v, _ = self.frame()
        basis = np.stack([u, v])
        flat = points @ (basis[:, :2] - basis[:, 2:] * self.slope)
        return np.asarray(flat + self.axis(z)[:, None])

    def section(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return the section coordinates u, v of points in space."""
        u, v, _ = self.frame()
        dx, dy = x - self.slope[0] * z, y - self.slope[1] * z
        return dx * u[0] + dy * u[1], dx * v[0] + dy * v[1]


@dataclass(frozen=True)
class Arc:
    """A circle of ``radius`` mm in a vertical plane; its centre of curvature lies ``azimuth`` degrees from the front
    towards the right, at height ``apex`` mm, where the section is horizontal with u = x and v = y.
    """

    radius: float
    azimuth: float
    apex: float

    def turn(self) -> Floats:
        """Return two unit vectors as rows: towards the centre of curvature, and perpendicular to it."""
        angle = np.radians(self.azimuth)
        return np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])

    def axis(self, z: Floats) -> Floats:
        return self.cut(np.zeros((1, 2)), z)[:, 0]

    def cosine(self, z: Floats) -> Floats:
        return np.asarray(np.sqrt(1.0 - ((z - self.apex) / self.radius) ** 2))

    def cut(self, points: Floats, z: Floats) -> Floats:
        towards, across = self.turn() @ points.T
        height = (z - self.apex)[:, None]
        moved = self.radius - np.sqrt((self.radius - towards) ** 2 - height**2)
        return np.asarray(np.stack([moved, np.broadcast_to(across, moved.shape)], axis=-1) @ self.turn())

    def section(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats]:
        turn = self.turn()
        towards, across = turn[0, 0] * x + turn[0, 1] * y, turn[1, 0] * x + turn[1, 1] * y
        towards = self.radius - np.hypot(self.radius - towards, z - self.apex)
        return turn[0, 0] * towards + turn[1, 0] * across, turn[0, 1] * towards + turn[1, 1] * across


def render(
    section: Section,
    spacing: tuple[float, float, float],
    n_slices: int,
    *,
    tilt_rl: float = 0.0,
    tilt_ap: float = 0.0,
    radius: float = 0.0,
    azimuth: float = 0.0,
    apex: float = 0.0,
    offset: tuple[float, float] = (0.0, 0.0),
) -> Cord:
    """Render a straight cord, or an arc where ``radius`` is given.

    Parameters
    ----------
    section : the closed section that is moved along the centreline
    spacing : size of a voxel, mm
    n_slices : number of slices
    tilt_rl, tilt_ap : tilt of a straight cord to the right and to the front, degrees
    radius : of the arc, mm; 0 for a straight cord
    azimuth : direction of the arc's centre of curvature, degrees from the front towards the right
    apex : height of the arc's horizontal section above the middle slice, mm; away from it the arc leans
    offset : shift of the cord in the plane, mm; without it the cord lies in the middle of the volume
    """
    if radius and (tilt_rl or tilt_ap):
        raise ValueError("an arc leans by its apex, not by a tilt")
    px, py, pz = spacing
    pixel = np.array([px, py])
    path = Arc(radius, azimuth, apex) if radius else Straight(np.tan(np.radians([tilt_rl, tilt_ap])))
    z = (np.arange(n_slices) + 0.5 - n_slices / 2) * pz
    ends = np.append(np.linspace(-n_slices * pz / 2, n_slices * pz / 2, 2 * n_slices + 1), _within(apex, n_slices * pz))
    axis = path.axis(ends)
    shift = np.array(offset) - (axis.min(axis=0) + axis.max(axis=0)) / 2.0
    outline = np.abs(path.cut(section.points, ends) + shift).max(axis=(0, 1))
    nx, ny = (int(2 * np.ceil(far / size) + 4) for far, size in zip(outline, pixel, strict=True))
    corner = -pixel * (nx, ny) / 2.0

    moved = np.abs(np.diff(path.axis(ends[:-1]), axis=0)).max(axis=0) * 2.0 / pixel
    count = NODES + int(np.ceil(NODES_PER_PIXEL * moved.max()))
    nodes, weights = np.polynomial.legendre.leggauss(count)
    data = np.zeros((nx, ny, n_slices))
    area, centre = np.zeros(n_slices), np.zeros((n_slices, 2))
    step = max(1, BATCH // (count * len(section.points)))
    for first in range(0, n_slices, step):
        part = slice(first, min(first + step, n_slices))
        planes = (z[part, None] + nodes * pz / 2.0).ravel()
        cuts = path.cut(section.points, planes) + shift
        covered = coverage((cuts - corner) / pixel, (nx, ny)).reshape(-1, count, nx, ny)
        data[:, :, part] = np.einsum("knxy,n->xyk", covered, weights / 2.0)
        areas, centres = _areas(cuts)
        area[part] = areas.reshape(-1, count) @ weights / 2.0
        firsts = (areas[:, None] * centres).reshape(-1, count, 2)
        centre[part] = np.einsum("kni,n->ki", firsts, weights / 2.0) / area[part, None]
    data[np.abs(data) < ROUNDING] = 0.0
    x, y = ((np.arange(n) + 0.5) * size + c for n, size, c in zip((nx, ny), pixel, corner, strict=True))
    inside = section.contains(*path.section(x[:, None, None] - shift[0], y[None, :, None] - shift[1], z[None, None, :]))
    affine = np.diag([px, py, pz, 1.0])
    origin = corner + pixel / 2.0
    return Cord(
        Volume(data.astype(np.float32), affine),
        Volume(inside.astype(np.float32), affine),
        np.full(n_slices, section.area_mm2),
        path.cosine(z),
        area,
        centre - origin,
        path.axis(z) + shift - origin,
        _diameters(section, path) if isinstance(path, Straight) else (np.nan, np.nan),
    )


def binarised(volume: Volume) -> Volume:
    """Return a binary volume: 1 where the occupancy is at least 0.5, as in the binary masks of cordrift."""
    return Volume((volume.data >= 0.5).astype(np.float32), volume.affine)


def _within(value: float, length: float) -> float:
    return float(np.clip(value, -length / 2, length / 2))


def _areas(polygons: Floats) -> tuple[Floats, Floats]:
    """Return the areas (m,) and centroids (m, 2) of polygons (m, n, 2)."""
    nxt = np.roll(polygons, -1, axis=1)
    cross = polygons[..., 0] * nxt[..., 1] - nxt[..., 0] * polygons[..., 1]
    area = cross.sum(axis=1) / 2.0
    return area, np.einsum("mn,mni->mi", cross, polygons + nxt) / (6.0 * area[:, None])


def _diameters(section: Section, path: Straight) -> tuple[float, float]:
    """Return the right-left and front-back diameters, along the world axes projected into the section."""
    u, v, tangent = path.frame()
    front = np.array([0.0, 1.0, 0.0]) - tangent[1] * tangent
    front /= np.linalg.norm(front)
    return section.diameter(np.array([1.0, 0.0])), section.diameter(np.array([front @ u, front @ v]))
