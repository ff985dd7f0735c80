"""The cervical spine in mm as a few smooth curves, from which everything else is rendered.

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

import numpy as np

from .parts import Bulk, Compression, Ends, Float, Float32, Lesion, Real, Thinning

#: Tables along the centreline run over s in [-S_MAX, S_MAX] mm in steps of S_STEP mm.
S_MAX_MM = 90.0
S_STEP_MM = 0.02


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
    flattening : relative loss of ``ratio`` at the same place
    sac_rl_mm, sac_ap_mm : half axes of the dural sac at C3
    sac_top_mm : increase of both half axes up to C1
    sac_shift_mm : (u, v) of the centre of the sac at C3, relative to the centre of the cord
    sac_wander_mm, sac_phase : amplitude (mm) and phase (radians) of the wave of the sac's centre, front to back
    sac_taper : relative difference of the sac's width in front and behind: 0 = ellipse, 0.4 = rounded triangle
    gm_size : size of the grey matter relative to the average
    texture_seed : seed of the fat and texture fields, in [0, 2**63)
    atrophy : fraction of cord area lost everywhere, in [0, 0.5]
    bulk : sizes of the surroundings
    compressions, lesions, thinnings : diseases of the cord
    ends : how the cord continues beyond the neck; None: only the neck, and the cord has no end
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
    thinnings: tuple[Thinning, ...] = ()
    ends: Ends | None = None

    @property
    def reach_mm(self) -> float:
        """The tables cover s in [-reach, reach], mm."""
        return self.ends.reach_mm if self.ends else S_MAX_MM

    @cached_property
    def tables(self) -> AnatomyTables:
        """All curves of this anatomy at the same values of s."""
        return _tabulate(self)

    def centre(self, s_mm: Float) -> Float:
        """Return the points (n, 3) in mm of the centreline at ``s_mm`` (n,)."""
        return np.stack([*self.curve(s_mm, 0), s_mm], axis=-1)

    def tangent(self, s_mm: Float) -> Float:
        """Return the unit tangents (n, 3) of the centreline at ``s_mm`` (n,); they point up."""
        dx, dy = self.curve(s_mm, 1)
        t = np.stack([dx, dy, np.ones_like(dx)], axis=-1)
        unit: Float = t / np.linalg.norm(t, axis=-1, keepdims=True)
        return unit

    def curve(self, s: Real, order: int) -> tuple[Real, Real]:
        """Return x and y (mm) of the centreline at ``s`` (mm), or their derivatives of ``order`` 1 or 2.

        The result has the data type of ``s``.
        """
        inside = s if self.ends is None else np.clip(s, -self.ends.start_mm, self.ends.start_mm)
        x, y = (_derivative(poly, inside, order) for poly in (self.x_poly, self.y_poly))
        if self.ends is None:
            return x, y
        slope_x, slope_y = (_derivative(poly, inside, 1) for poly in (self.x_poly, self.y_poly))
        beyond = s - inside
        return self.ends.extend(x, slope_x, beyond, order), self.ends.extend(y, slope_y, beyond, order)

    def csa(self, s_mm: Float) -> Float:
        """Return the area (mm2) perpendicular to the centreline at ``s_mm`` (n,); NaN beyond an end of the cord."""
        t = self.tables
        area = superellipse_area(np.interp(s_mm, t.s, t.cord_a), np.interp(s_mm, t.s, t.cord_b), self.exponent)
        if self.ends is None:
            return area
        bottom = -np.inf if self.ends.conus_s_mm is None else self.ends.conus_s_mm
        return np.where((s_mm <= self.ends.top_s_mm) & (s_mm > bottom), area, np.nan)


@dataclass(frozen=True)
class AnatomyTables:
    """Curves along the centreline, each (n,) in mm unless said otherwise.

    ``a`` is the half axis from right to left, ``b`` that from front to back; ``u`` and ``v`` are the centre of the sac.
    """

    s: Float
    cord_a: Float
    cord_b: Float
    sac_a: Float32
    sac_b: Float32
    sac_u: Float32
    sac_v: Float32
    to_disc: Float32  # distance to the nearest intervertebral disc (labels >= 3), mm
    to_arch: Float32  # distance to the neural arch's slab: negative inside, mm
    body_scale: Float32  # factor for the half axes of the vertebral body, which is narrower at the dens


def _derivative(poly: tuple[float, ...], s: Real, order: int) -> Real:
    """Return a polynomial, or its derivative of an ``order``, at ``s``."""
    coefficients = np.polyder(np.asarray(poly, s.dtype), order) if order else np.asarray(poly, s.dtype)
    if not coefficients.size:  # a derivative of a straight line
        return np.zeros_like(s)
    value = np.full_like(s, coefficients[0])
    for c in coefficients[1:]:
        value *= s
        value += c
    return value


def superellipse_area(a: Float, b: Float, exponent: float) -> Float:
    """Return the area (mm2) of |u/a|^n + |v/b|^n <= 1: 4 a b Gamma(1 + 1/n)^2 / Gamma(1 + 2/n), half axes in mm.

    With n = 2 this is an ellipse, pi a b.

    >>> superellipse_area(np.array([2.0]), np.array([3.0]), 2.0).round(3).tolist()
    [18.85]
    """
    return 4.0 * a * b * (gamma(1 + 1 / exponent) ** 2 / gamma(1 + 2 / exponent))


def _tabulate(an: Anatomy) -> AnatomyTables:
    """Compute all curves of an anatomy."""
    s = np.arange(-an.reach_mm, an.reach_mm + S_STEP_MM / 2, S_STEP_MM)
    discs = an.discs_s_mm
    c5 = discs[5] - 8.0
    bump = np.exp(-0.5 * ((s - c5) / 16.0) ** 2)
    area = 1.0 + an.enlargement * bump
    ratio = an.ratio * (1.0 - an.flattening * bump)
    squeeze = np.ones_like(s)
    for c in an.compressions:
        squeeze -= c.depth * np.exp(-0.5 * ((s - c.s_mm) / c.length_mm) ** 2)
    squeeze = np.maximum(squeeze, 0.3)  # several compressions at one place add up
    inside = (s <= discs[2]) & (s >= discs[4])
    area *= an.csa_mm2 * (1.0 - an.atrophy) / area[inside].mean()
    if an.ends:  # the thoracic cord is thinner than the cervical one
        area *= 1.0 - an.ends.taper / (1.0 + np.exp((s - discs[8] + 10.0) / 6.0))
    for thin in an.thinnings:
        area *= 1 - thin.loss * np.exp(-0.5 * ((s - thin.s_mm) / thin.length_mm) ** 2)
    if an.ends and an.ends.conus_s_mm is not None:
        area *= np.clip((s - an.ends.conus_s_mm) / an.ends.conus_mm, 1e-4, 1)
    one = superellipse_area(np.ones(1), np.ones(1), an.exponent)[0]
    a = np.sqrt(area / (one * ratio))
    # A compressed cord becomes wider, but by less than it becomes flatter, so that its area falls.
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
    sac_b, sac_v = np.maximum(an.sac_ap_mm + an.sac_top_mm * top, cord_b + 0.3), an.sac_shift_mm[1] + wander
    for c in an.compressions:
        if c.canal:  # the disc bulges into the front of the canal; its back does not move
            lost = 2 * sac_b * c.canal * np.exp(-0.5 * ((s - c.s_mm) / c.length_mm) ** 2)
            front = np.maximum(sac_v + sac_b - lost, np.minimum(cord_b + 0.3, sac_v + sac_b))
            sac_v, sac_b = (front + sac_v - sac_b) / 2, (front - sac_v + sac_b) / 2
    return AnatomyTables(
        s=s,
        cord_a=cord_a,
        cord_b=cord_b,
        sac_a=np.maximum(an.sac_rl_mm + an.sac_top_mm * top, cord_a + 0.6).astype(np.float32),
        sac_b=sac_b.astype(np.float32),
        sac_u=np.full(s.shape, an.sac_shift_mm[0], np.float32),
        sac_v=sac_v.astype(np.float32),
        to_disc=to_disc.astype(np.float32),
        to_arch=to_arch.astype(np.float32),
        body_scale=(1.0 - 0.38 * top).astype(np.float32),
    )
