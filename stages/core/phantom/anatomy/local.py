"""Coordinates along the centreline for points of the world, and distances to surfaces in these coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import S_STEP_MM, Anatomy
from .parts import Real


@dataclass(frozen=True)
class Local:
    """Points in the coordinates of the centreline: u (right), v (front), s (foot point), each (n,) in mm."""

    u: Real
    v: Real
    s: Real
    index: NDArray[np.intp]  # nearest entry of the tables of the anatomy


def localise(an: Anatomy, x: Real, y: Real, z: Real, *, steps: int = 3) -> Local:
    """Return the centreline coordinates of world points.

    Parameters
    ----------
    an : anatomy
    x, y, z : (n,) in mm; the data type decides the precision of the result
    steps : Newton steps to find the foot point; 3 are exact to 1e-4 mm within 40 mm of a curve of radius 80 mm
    """
    s = z.copy()
    for _ in range(steps):
        (cx, cy), (dx, dy), (ddx, ddy) = (an.curve(s, order) for order in (0, 1, 2))
        wx, wy = x - cx, y - cy
        slope = 1 + dx * dx + dy * dy - wx * ddx - wy * ddy
        s += (wx * dx + wy * dy + z - s) / np.maximum(slope, s.dtype.type(0.3))
    np.clip(s, -an.reach_mm + 1, an.reach_mm - 1, out=s)
    (cx, cy), (dx, dy) = an.curve(s, 0), an.curve(s, 1)
    wx, wy, wz = x - cx, y - cy, z - s
    # The axes of the section: the right-left axis of the world, projected into it, and the axis perpendicular to that.
    across = np.sqrt(1 + dy * dy)
    u = wx * np.sqrt(1 + dx * dx + dy * dy) / across
    v = (wy - wz * dy) / across
    index = np.rint((s + an.reach_mm) / S_STEP_MM).astype(np.intp)
    return Local(u, v, s, index)


def superellipse_distance(u: Real, v: Real, a: Real | float, b: Real | float, exponent: float) -> Real:
    """Return the signed distance (mm, negative inside) to a superellipse, exact on the boundary, first order elsewhere.

    It is (F - 1) / abs(grad F) with F = (|u/a|^n + |v/b|^n)^(1/n). F is homogeneous, so that its gradient is never 0.

    Parameters
    ----------
    u, v : (n,) offsets from the centre, mm
    a, b : half axes, mm
    exponent : n; 2 is an ellipse
    """
    pu, pv = np.abs(u / a), np.abs(v / b)
    if exponent == 2.0:
        f = np.sqrt(pu * pu + pv * pv) + 1e-6
        gu, gv = pu / a, pv / b
    else:
        f = (pu**exponent + pv**exponent) ** (1.0 / exponent) + 1e-6
        gu, gv = (pu / f) ** (exponent - 1.0) / a * f, (pv / f) ** (exponent - 1.0) / b * f
    distance: Real = (f - 1.0) * f / (np.sqrt(gu * gu + gv * gv) + 1e-6)
    return distance


def sac_distance(an: Anatomy, u: Real, v: Real, a: Real | float, b: Real | float) -> Real:
    """Return the signed distance (mm, first order) to the dural sac, an ellipse that is narrower at the back.

    Parameters
    ----------
    an : anatomy
    u, v : (n,) offsets from the centre of the sac, mm
    a, b : half axes of the sac, mm
    """
    width = np.clip(1 + an.sac_taper * v / b, 0.35, 1.6).astype(u.dtype)
    return superellipse_distance(u, v, a * width, b, 2.2)


def cord_distance(an: Anatomy, at: Local, *, area_factor: float = 1.0) -> Real:
    """Return the signed distance (mm, negative inside) to the surface of the cord.

    ``area_factor`` multiplies the area of the cord.
    """
    t = an.tables
    scale = np.sqrt(area_factor)
    side = superellipse_distance(at.u, at.v, t.cord_a[at.index] * scale, t.cord_b[at.index] * scale, an.exponent)
    if an.ends is None:
        return side
    side = np.maximum(side, at.s - side.dtype.type(an.ends.top_s_mm))
    return side if an.ends.conus_s_mm is None else np.maximum(side, side.dtype.type(an.ends.conus_s_mm) - at.s)
