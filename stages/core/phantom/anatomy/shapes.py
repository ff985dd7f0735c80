"""Signed distances (mm, negative inside) to simple bodies, to first order, in single precision."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .parts import Float32, Real

Point = tuple[float, float, float]


def ellipsoid(p: Float32, centre: Point, radii: Point, *, exponent: float = 2.0, tilt_deg: float = 0.0) -> Float32:
    """Return the distance (mm) of points (3, n) to an ellipsoid |x/a|^n + |y/b|^n + |z/c|^n = 1.

    Parameters
    ----------
    p : (3, n) points, mm
    centre, radii : x, y, z of the centre, and the half axes a, b, c, mm
    exponent : n; 2 is an ellipsoid, more is closer to a box
    tilt_deg : rotation about x that lifts the front
    """
    x, y, z = (p[k] - np.float32(centre[k]) for k in range(3))
    if tilt_deg:
        c, s = np.float32(np.cos(np.radians(tilt_deg))), np.float32(np.sin(np.radians(tilt_deg)))
        y, z = c * y + s * z, c * z - s * y
    scaled = [np.abs(q) / np.float32(r) for q, r in zip((x, y, z), radii, strict=True)]
    if exponent == 2.0:
        f = np.sqrt(sum(q * q for q in scaled)) + np.float32(1e-6)
        gradient = sum((q / np.float32(r)) ** 2 for q, r in zip(scaled, radii, strict=True))
    else:
        f = sum(q ** np.float32(exponent) for q in scaled) ** np.float32(1 / exponent) + np.float32(1e-6)
        gradient = sum(
            ((q / f) ** np.float32(exponent - 1) / np.float32(r) * f) ** 2 for q, r in zip(scaled, radii, strict=True)
        )
    distance: Float32 = (f - 1) * f / (np.sqrt(gradient) + np.float32(1e-6))
    return distance


def tube(p: Float32, line: tuple[Point, ...], radius_mm: float) -> Float32:
    """Return the distance (mm) of points (3, n) to a tube around a line through several points, all in mm."""
    distance = np.full(p.shape[1], np.inf, np.float32)
    for start, end in pairwise(line):
        a, way = np.array(start, np.float32)[:, None], np.array(end, np.float32) - np.array(start, np.float32)
        off = p - a
        along = np.clip(way @ off / (way @ way), 0, 1)
        off -= way[:, None] * along
        distance = np.minimum(distance, np.sqrt((off * off).sum(axis=0)))
    return distance - np.float32(radius_mm)


def blend(a: Real, b: Real, length_mm: float) -> Real:
    """Return the distance to the union of two bodies, whose edge is rounded over about ``length_mm``."""
    k = np.float32(length_mm)
    h = np.clip(np.float32(0.5) + np.float32(0.5) * (b - a) / k, 0, 1)
    union: Real = b + h * (a - b) - k * h * (1 - h)
    return union
