"""From world points to the coordinates of the centreline, and distances to the surfaces that are defined there."""

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
    index: NDArray[np.intp]  # nearest entry of the tables


def localise(an: Anatomy, x: Real, y: Real, z: Real, *, steps: int = 3) -> Local:
    """Return the centreline coordinates of world points.

    Parameters
    ----------
    x, y, z : (n,) arrays, mm
    steps : Newton steps for the foot point; 3 reach 1e-4 mm within 40 mm of a curve of radius 80 mm

    The arithmetic runs in the dtype of the input: float64 where areas are measured, float32 for the surroundings.
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
    # The axes of the section: world RL projected into it, and what is perpendicular to both.
    across = np.sqrt(1 + dy * dy)
    u = wx * np.sqrt(1 + dx * dx + dy * dy) / across
    v = (wy - wz * dy) / across
    index = np.rint((s + an.reach_mm) / S_STEP_MM).astype(np.intp)
    return Local(u, v, s, index)


def superellipse_distance(u: Real, v: Real, a: Real | float, b: Real | float, exponent: float) -> Real:
    """Signed distance (mm, negative inside) to a superellipse, to first order: exact on the boundary.

    (F - 1) / |grad F| with F = (|u/a|^n + |v/b|^n)^(1/n), which is homogeneous, so that the gradient never vanishes.
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
    """Signed distance (mm, to first order) to the dural sac: an ellipse that tapers towards the back.

    ``u, v`` are relative to the sac's centre, ``a, b`` its half axes.
    """
    width = np.clip(1 + an.sac_taper * v / b, 0.35, 1.6).astype(u.dtype)
    return superellipse_distance(u, v, a * width, b, 2.2)


def cord_distance(an: Anatomy, at: Local, *, area_factor: float = 1.0) -> Real:
    """Signed distance (mm, negative inside) to the cord's surface, the cord's area scaled by ``area_factor``."""
    t = an.tables
    scale = np.sqrt(area_factor)
    side = superellipse_distance(at.u, at.v, t.cord_a[at.index] * scale, t.cord_b[at.index] * scale, an.exponent)
    return side if an.ends is None else np.maximum(side, at.s - side.dtype.type(an.ends.top_s_mm))
