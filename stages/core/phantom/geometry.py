"""The cervical spine in mm as a few smooth curves: everything else is rendered from here.

World axes are RAS+ (x right, y front, z up). The cord centreline is a polynomial c(s) = (x(s), y(s), s); a point p is
described by its foot point s on the centreline, (p - c(s)) . c'(s) = 0, and by (u, v), its offsets to the right and to
the front in the section perpendicular to the centreline there. Cross-sections are defined in (u, v), so that the
cross-section area perpendicular to the centreline is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import gamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
#: Either: areas are measured in double precision, surroundings are painted in single.
Real = NDArray[np.floating[Any]]

#: Tables along the centreline run over s in [-S_MAX, S_MAX] mm in steps of S_STEP mm.
S_MAX_MM = 90.0
S_STEP_MM = 0.02


@dataclass(frozen=True)
class Compression:
    """A narrowing of the cord from the front or back, as in mild cervical myelopathy.

    Attributes
    ----------
    s_mm : where, on the centreline
    depth : fraction of the antero-posterior diameter that is lost at the worst place, in [0, 0.6]
    length_mm : standard deviation of the narrowing along the cord
    """

    s_mm: float
    depth: float
    length_mm: float


@dataclass(frozen=True)
class Lesion:
    """A hyperintense ellipsoid inside the cord: centre (s in mm; u, v as fractions of the half axes), radii in mm."""

    s_mm: float
    u: float
    v: float
    radius_mm: float
    length_mm: float


@dataclass(frozen=True)
class Bulk:
    """What surrounds the canal: sizes in mm, measured in the section perpendicular to the centreline."""

    body_rl_mm: float = 9.0  # half width of the vertebral bodies
    body_ap_mm: float = 8.0  # half depth
    disc_mm: float = 2.6  # half thickness
    cortex_mm: float = 0.8
    epidural_front_mm: float = 1.0
    epidural_back_mm: float = 1.8
    dura_mm: float = 0.5
    lamina_mm: float = 3.5
    arch_fraction: float = 0.62  # of a level's height that the arch covers
    spinous_mm: float = 2.4  # half width
    spinous_length_mm: float = 20.0
    spinous_slope: float = 0.45
    pillar_mm: float = 6.0  # radius of the articular pillars
    artery_mm: float = 1.9
    airway_mm: float = 8.0
    airway_gap_mm: float = 6.0  # prevertebral tissue between body and airway
    skin_mm: float = 42.0  # distance of the back of the neck's muscles from the cord
    root_mm: float = 0.45
    fat_sheet: float = 0.16  # thickness of fat sheets between muscles, in units of the texture
    streaks: float = 1.2  # threshold of fatty streaks: lower is more fat


@dataclass(frozen=True)
class Anatomy:
    """One participant's neck.

    Attributes
    ----------
    x_poly, y_poly : polynomial coefficients of the centreline in s (mm), highest power first
    discs_s_mm : label -> s; label v is the disc above vertebra v (2 = C1/C2, 3 = C2/C3, ...)
    csa_mm2 : mean cross-section area over C2 and C3, perpendicular to the centreline
    ratio : AP / RL diameter at C2-C3
    exponent : of the superellipse |u/a|^n + |v/b|^n = 1 (2 = ellipse)
    enlargement : relative gain of area at the cervical enlargement (C5)
    flattening : relative loss of ``ratio`` there
    sac_rl_mm, sac_ap_mm : half axes of the dural sac at C3
    sac_top_mm : additional half axis at C1
    sac_shift_mm : (u, v) of the sac's centre at C3 with respect to the cord's
    sac_wander_mm, sac_phase : amplitude and phase (radians) of the cord's antero-posterior wandering inside the sac
    sac_taper : how much narrower the canal is behind than in front, relative: 0 = ellipse, 0.4 = rounded triangle
    gm_size : size of the grey matter relative to the average
    texture_seed : seed of the fat and texture fields, in [0, 2**63)
    atrophy : fraction of cord area lost everywhere, in [0, 0.5]
    """

    x_poly: tuple[float, ...]
    y_poly: tuple[float, ...]
    discs_s_mm: dict[int, float]
    csa_mm2: float
    ratio: float
    exponent: float
    enlargement: float
    flattening: float
    sac_rl_mm: float
    sac_ap_mm: float
    sac_top_mm: float
    sac_shift_mm: tuple[float, float]
    sac_wander_mm: float
    sac_phase: float
    sac_taper: float
    bulk: Bulk
    texture_seed: int
    gm_size: float = 1.0
    atrophy: float = 0.0
    compressions: tuple[Compression, ...] = ()
    lesions: tuple[Lesion, ...] = ()

    @cached_property
    def tables(self) -> Tables:
        """Every curve of this anatomy on the common grid of s."""
        return _tabulate(self)

    def centre(self, s_mm: Float) -> Float:
        """World positions (n, 3) of the centreline at ``s_mm`` (n,)."""
        return np.stack([np.polyval(self.x_poly, s_mm), np.polyval(self.y_poly, s_mm), s_mm], axis=-1)

    def tangent(self, s_mm: Float) -> Float:
        """Unit tangents (n, 3) of the centreline at ``s_mm`` (n,), pointing up."""
        dx, dy = np.polyval(np.polyder(self.x_poly), s_mm), np.polyval(np.polyder(self.y_poly), s_mm)
        t = np.stack([dx, dy, np.ones_like(dx)], axis=-1)
        unit: Float = t / np.linalg.norm(t, axis=-1, keepdims=True)
        return unit

    def csa(self, s_mm: Float) -> Float:
        """Cross-section area in mm2 perpendicular to the centreline at ``s_mm`` (n,)."""
        t = self.tables
        return superellipse_area(np.interp(s_mm, t.s, t.cord_a), np.interp(s_mm, t.s, t.cord_b), self.exponent)


@dataclass(frozen=True)
class Tables:
    """Curves along the centreline, each (n,) float32 except ``s`` and the half axes of the cord (float64)."""

    s: Float
    cord_a: Float
    cord_b: Float
    sac_a: Float32
    sac_b: Float32
    sac_u: Float32
    sac_v: Float32
    to_disc: Float32  # distance to the nearest intervertebral disc (labels >= 3), mm
    to_arch: Float32  # distance to the neural arch's slab: negative inside, mm
    body_scale: Float32  # of the vertebral body's half axes: narrower at the dens


def superellipse_area(a: Float, b: Float, exponent: float) -> Float:
    """Area of |u/a|^n + |v/b|^n <= 1: 4 a b G(1 + 1/n)^2 / G(1 + 2/n); pi a b for n = 2."""
    return 4.0 * a * b * (gamma(1 + 1 / exponent) ** 2 / gamma(1 + 2 / exponent))


def _tabulate(an: Anatomy) -> Tables:
    s = np.arange(-S_MAX_MM, S_MAX_MM + S_STEP_MM / 2, S_STEP_MM)
    discs = an.discs_s_mm
    c5 = discs[5] - 8.0
    bump = np.exp(-0.5 * ((s - c5) / 16.0) ** 2)
    area = 1.0 + an.enlargement * bump
    ratio = an.ratio * (1.0 - an.flattening * bump)
    squeeze = np.ones_like(s)
    for c in an.compressions:
        squeeze -= c.depth * np.exp(-0.5 * ((s - c.s_mm) / c.length_mm) ** 2)
    inside = (s <= discs[2]) & (s >= discs[4])
    area *= an.csa_mm2 * (1.0 - an.atrophy) / area[inside].mean()
    one = superellipse_area(np.ones(1), np.ones(1), an.exponent)[0]
    a = np.sqrt(area / (one * ratio))
    # A compressed cord gives way sideways, but less than it is flattened: its area falls.
    cord_b, cord_a = a * ratio * squeeze, a * (1.0 + 0.3 * (1.0 - squeeze))

    top = 1.0 / (1.0 + np.exp(-(s - discs[2] - 2.0) / 5.0))
    wander = an.sac_wander_mm * np.sin(2 * np.pi * s / 95.0 + an.sac_phase)
    to_disc = np.min([np.abs(s - z) for label, z in discs.items() if label >= 3], axis=0)
    order = sorted(discs)
    to_arch = np.full_like(s, 1e3)
    for upper, lower in pairwise(order):
        height = discs[upper] - discs[lower]
        mid = 0.5 * (discs[upper] + discs[lower]) - 0.12 * height
        to_arch = np.minimum(to_arch, np.abs(s - mid) - 0.5 * an.bulk.arch_fraction * height)
    to_arch = np.minimum(to_arch, np.abs(s - discs[2] - 11.0) - 4.0)  # the arch of C1
    return Tables(
        s=s,
        cord_a=cord_a,
        cord_b=cord_b,
        sac_a=np.maximum(an.sac_rl_mm + an.sac_top_mm * top, cord_a + 0.6).astype(np.float32),
        sac_b=np.maximum(an.sac_ap_mm + an.sac_top_mm * top, cord_b + 0.3).astype(np.float32),
        sac_u=np.full(s.shape, an.sac_shift_mm[0], np.float32),
        sac_v=(an.sac_shift_mm[1] + wander).astype(np.float32),
        to_disc=to_disc.astype(np.float32),
        to_arch=to_arch.astype(np.float32),
        body_scale=(1.0 - 0.38 * top).astype(np.float32),
    )


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
    dtype = np.result_type(x, y, z)
    px, py = np.asarray(an.x_poly, dtype), np.asarray(an.y_poly, dtype)
    dpx, dpy = np.polyder(px), np.polyder(py)
    ddpx, ddpy = np.polyder(dpx), np.polyder(dpy)
    s = z.copy()
    for _ in range(steps):
        wx, wy = x - _horner(px, s), y - _horner(py, s)
        dx, dy = _horner(dpx, s), _horner(dpy, s)
        slope = 1 + dx * dx + dy * dy - wx * _horner(ddpx, s) - wy * _horner(ddpy, s)
        s += (wx * dx + wy * dy + z - s) / np.maximum(slope, dtype.type(0.3))
    np.clip(s, -S_MAX_MM + 1, S_MAX_MM - 1, out=s)
    wx, wy, wz = x - _horner(px, s), y - _horner(py, s), z - s
    dx, dy = _horner(dpx, s), _horner(dpy, s)
    # The axes of the section: world RL projected into it, and what is perpendicular to both.
    across = np.sqrt(1 + dy * dy)
    u = wx * np.sqrt(1 + dx * dx + dy * dy) / across
    v = (wy - wz * dy) / across
    index = np.rint((s + S_MAX_MM) / S_STEP_MM).astype(np.intp)
    return Local(u, v, s, index)


def _horner(coefficients: Real, s: Real) -> Real:
    if not coefficients.size:  # a derivative of a straight line
        return np.zeros_like(s)
    value = np.full_like(s, coefficients[0])
    for c in coefficients[1:]:
        value *= s
        value += c
    return value


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
    return superellipse_distance(at.u, at.v, t.cord_a[at.index] * scale, t.cord_b[at.index] * scale, an.exponent)
