"""Sections of a cord: closed polygons of many vertices, each with the analytic area of the curve it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Enough for a polygon's area to be its curve's to 5e-7.
VERTICES = 4096


@dataclass(frozen=True)
class Section:
    """A section, star-shaped about its centroid, which is the origin.

    Attributes
    ----------
    points : (n, 2) vertices u, v in mm, counter-clockwise
    area_mm2 : analytic area of the curve through the vertices
    """

    points: Floats
    area_mm2: float

    @property
    def moments(self) -> Floats:
        """Central second moments (2, 2) of the polygon, mm2."""
        return polygon_moments(self.points)[2]

    def diameter(self, axis: Floats) -> float:
        """4 sigma along a unit vector (u, v), mm; the axis itself for an ellipse."""
        return 4.0 * float(np.sqrt(axis @ self.moments @ axis))

    def contains(self, u: Floats, v: Floats) -> NDArray[np.bool_]:
        """Tell which points lie in the polygon: on the inner side of the edge that their direction meets."""
        angles = np.unwrap(np.arctan2(self.points[:, 1], self.points[:, 0]))
        turn = 2.0 * np.pi
        edge = np.searchsorted(angles, angles[0] + (np.arctan2(v, u) - angles[0]) % turn, side="right") - 1
        start, end = self.points[edge], np.roll(self.points, -1, axis=0)[edge]
        along = end - start
        return np.asarray(along[..., 0] * (v - start[..., 1]) - along[..., 1] * (u - start[..., 0]) >= 0.0)


def ellipse(a: float, b: float, vertices: int = VERTICES) -> Section:
    """Semi-axes ``a`` (right-left) and ``b`` (front-back), mm."""
    angle = _angles(vertices)
    return Section(np.stack([a * np.cos(angle), b * np.sin(angle)], axis=1), np.pi * a * b)


def superellipse(a: float, b: float, exponent: float, vertices: int = VERTICES) -> Section:
    """``|u / a|^exponent + |v / b|^exponent = 1``; 2 is an ellipse, more is squarer."""
    cosine, sine = np.cos(_angles(vertices)), np.sin(_angles(vertices))
    radius = (np.abs(cosine) ** exponent + np.abs(sine) ** exponent) ** (-1.0 / exponent)
    area = 4.0 * a * b * gamma(1.0 + 1.0 / exponent) ** 2 / gamma(1.0 + 2.0 / exponent)
    return Section(np.stack([a * radius * cosine, b * radius * sine], axis=1), area)


def dented(a: float, b: float, depth: float, width: float, side: float = 90.0, vertices: int = VERTICES) -> Section:
    """An ellipse pressed in: r(phi) times ``1 - depth exp((cos(phi - side) - 1) / width^2)``.

    ``phi`` is the ellipse's own parameter, so the area is the integral of a b r(phi)^2 / 2 over a turn; the periodic
    rule used for it converges faster than any power. ``side`` in degrees: 90 is the front, 0 the right. Moved so that
    the centroid is the origin.
    """

    def scale(phi: Floats) -> Floats:
        return np.asarray(1.0 - depth * np.exp((np.cos(phi - np.radians(side)) - 1.0) / width**2))

    angle = _angles(vertices)
    points = scale(angle)[:, None] * np.stack([a * np.cos(angle), b * np.sin(angle)], axis=1)
    area = np.pi * a * b * float(np.mean(scale(_angles(1 << 16)) ** 2))
    return Section(points - polygon_moments(points)[1], area)


def polygon_moments(points: Floats) -> tuple[float, Floats, Floats]:
    """Area, centroid (2,) and central second moments (2, 2) of a closed polygon; exact (Green's theorem)."""
    nxt = np.roll(points, -1, axis=0)
    cross = points[:, 0] * nxt[:, 1] - nxt[:, 0] * points[:, 1]
    area = float(cross.sum()) / 2.0
    centre = np.asarray(cross @ (points + nxt) / (6.0 * area))
    both = points + nxt
    second = np.einsum("k,ki,kj->ij", cross, points, points) + np.einsum("k,ki,kj->ij", cross, nxt, nxt)
    second = (second + np.einsum("k,ki,kj->ij", cross, both, both)) / (24.0 * area)
    return area, centre, np.asarray(second - np.outer(centre, centre))


def _angles(count: int) -> Floats:
    return np.asarray(np.arange(count) * 2.0 * np.pi / count)
