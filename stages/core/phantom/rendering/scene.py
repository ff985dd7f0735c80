"""Paint the neck: one tissue over the other, from the outside to the inside, each with its share of the voxel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..acquisition.tissues import TISSUES, Tissue
from ..anatomy.geometry import Anatomy
from ..anatomy.local import Local, sac_distance, superellipse_distance
from ..anatomy.parts import Float32, Lesion, Real

Index = NDArray[np.intp]
#: Signal of each tissue, relative to white matter; or k signals of each, (k,).
Signals = Mapping[Tissue, float] | Mapping[Tissue, Float32]

#: The texture repeats after this length.
TEXTURE_MM = 120.0
_TEXTURE_STEP_MM = 1.5


@dataclass
class Canvas:
    """The painted values of n points, each (n,) float32.

    Attributes
    ----------
    signal : relative to white matter; (n, k) where k signals are painted at once
    texture : amplitude of the tissue's own texture
    outside : share of the point outside the spinal canal, in [0, 1]
    csf : share of cerebrospinal fluid, in [0, 1]
    """

    signal: Float32
    texture: Float32
    outside: Float32
    csf: Float32

    @classmethod
    def empty(cls, n: int, signals: int | None = None) -> Canvas:
        """Return a canvas of ``n`` points that are all 0; ``signals``: how many are painted at once (None: one)."""
        signal = np.zeros(n if signals is None else (n, signals), np.float32)
        return cls(signal, *(np.zeros(n, np.float32) for _ in range(3)))


@dataclass(frozen=True)
class Ramp:
    """Width (mm) over which a boundary passes a sample: in the section, and along the cord."""

    plane_mm: float
    along_mm: float

    def share(self, distance: Real) -> Float32:
        """Return the share of a sample inside a flat boundary at a signed ``distance`` (mm) in the section."""
        share: Float32 = np.clip(0.5 - distance * np.float32(1 / self.plane_mm), 0, 1)
        return share

    def share_along(self, distance: Real) -> Float32:
        """Return the share of a sample inside a flat boundary at a signed ``distance`` (mm) along the cord."""
        share: Float32 = np.clip(0.5 - distance * np.float32(1 / self.along_mm), 0, 1)
        return share


class Painter:
    """Paints tissues on a canvas; ``signals`` is the signal of each tissue, or its k signals (k,)."""

    def __init__(self, canvas: Canvas, signals: Signals) -> None:
        self.canvas, self.signals = canvas, signals

    def lay(self, where: Index | slice, share: Real, tissue: Tissue, *, outside: float = 1.0) -> None:
        """Cover a share (in [0, 1]) of some points with a tissue.

        Parameters
        ----------
        where : indices of the points
        share : share of each of them
        tissue : tissue to paint
        outside : 1 where the tissue is outside the spinal canal, 0 inside
        """
        c = self.canvas
        for channel, value in (
            (c.signal, self.signals[tissue]),
            (c.texture, TISSUES[tissue].texture),
            (c.outside, outside),
            (c.csf, float(tissue is Tissue.CSF)),
        ):
            covered = share if channel.ndim == 1 else share[:, None]
            channel[where] = channel[where] * (1 - covered) + np.float32(value) * covered


def texture_fields(seed: int) -> Float32:
    """Return two periodic noise fields (2, n, n, n), mean 0 and SD 1: sheets of fat, and fine texture.

    The sheets are long along the neck, as muscles are.
    """
    n = int(TEXTURE_MM / _TEXTURE_STEP_MM)
    white = np.random.default_rng(seed).standard_normal((2, n, n, n), dtype=np.float32)
    sheets = ndimage.gaussian_filter(white[0], (2.2, 2.2, 6.0), mode="wrap")
    fine = ndimage.gaussian_filter(white[1], (0.8, 0.8, 1.5), mode="wrap")
    return np.stack([sheets / sheets.std(), fine / fine.std()])


def sample_texture(fields: Float32, at: Local) -> tuple[Float32, Float32]:
    """Return the values of both fields, each (n,), at points in the coordinates of the centreline."""
    where = np.stack([at.u, at.v, at.s]) / np.float32(_TEXTURE_STEP_MM)
    a, b = (ndimage.map_coordinates(f, where, order=1, mode="grid-wrap", output=np.float32) for f in fields)
    return a, b


def take(at: Local, sel: Index) -> Local:
    """Return some of the points."""
    return Local(at.u[sel], at.v[sel], at.s[sel], at.index[sel])


def paint(
    canvas: Canvas,
    an: Anatomy,
    at: Local,
    signals: Signals,
    ramp: Ramp,
    texture: tuple[Float32, Float32],
) -> None:
    """Paint surroundings, spine, canal and cord.

    Parameters
    ----------
    canvas : n points to paint
    an : anatomy
    at : the points in the coordinates of the centreline
    signals : signal of each tissue, relative to white matter
    ramp : width of boundaries
    texture : see :func:`sample_texture`
    """
    painter = Painter(canvas, signals)
    sheets, fine = texture
    paint_soft_tissue(painter, an, at, ramp, sheets, fine)
    paint_spine(painter, an, at, ramp, sheets)
    paint_canal(painter, an, at, ramp, fine)
    paint_cord(painter, an, at, ramp)


def add_texture(canvas: Canvas, fine: Float32) -> None:
    """Vary the signal of every tissue by its own texture; ``fine`` is the second field of :func:`sample_texture`."""
    canvas.signal *= np.maximum(0, 1 + canvas.texture * fine)


def paint_soft_tissue(p: Painter, an: Anatomy, at: Local, ramp: Ramp, sheets: Float32, fine: Float32) -> None:
    """Paint muscle, fat, airway and vessels at all points; arguments as for :func:`paint`."""
    b = an.bulk
    everywhere = slice(None)
    p.lay(everywhere, np.ones_like(at.u), Tissue.MUSCLE)
    fat = np.maximum(
        np.clip(1.6 - np.abs(sheets) / np.float32(b.fat_sheet), 0, 1), np.clip(2 * (fine - b.streaks), 0, 1)
    )
    p.lay(everywhere, fat * np.float32(0.9), Tissue.FAT)
    back = np.flatnonzero(at.v < -b.skin_mm + 4)
    p.lay(back, ramp.share(at.v[back] + np.float32(b.skin_mm) + 2 * sheets[back]), Tissue.FAT)
    midline = np.flatnonzero((np.abs(at.u) < 4) & (at.v < 0))
    p.lay(midline, 0.8 * ramp.share(np.abs(at.u[midline] + 0.7 * sheets[midline]) - np.float32(0.9)), Tissue.LIGAMENT)

    front = b.body_ap_mm * 2 + an.sac_ap_mm + b.epidural_front_mm + b.airway_gap_mm
    sel = np.flatnonzero((at.v > front - 6) & (np.abs(at.u) < b.airway_mm * 1.6 + 6))
    u, v = at.u[sel], at.v[sel] - np.float32(front + b.airway_mm * 0.6)
    wall = superellipse_distance(u, v, b.airway_mm * 1.5, b.airway_mm * 0.7, 2.0)
    p.lay(sel, ramp.share(wall - 2), Tissue.DISC)  # mucosa: wet, bright
    p.lay(sel, ramp.share(wall), Tissue.AIR)
    for side in (-1, 1):
        for du, dv, r in ((23.0, 19.0, 3.2), (28.0, 15.0, 4.5)):
            sel = np.flatnonzero((np.abs(at.u - side * du) < r + 2) & (np.abs(at.v - dv) < r + 2))
            d = np.hypot(at.u[sel] - side * du, at.v[sel] - dv) - np.float32(r)
            p.lay(sel, ramp.share(d), Tissue.BLOOD)


def paint_spine(p: Painter, an: Anatomy, at: Local, ramp: Ramp, sheets: Float32) -> None:
    """Paint vertebrae, discs, ligaments, nerve roots and vertebral arteries; arguments as for :func:`paint`."""
    b, t = an.bulk, an.tables
    sac_a, sac_b = t.sac_a[at.index], t.sac_b[at.index]
    sac_u, sac_v = t.sac_u[at.index], t.sac_v[at.index]
    arch = t.to_arch[at.index]

    # Vertebral bodies and discs, in front of the canal.
    near = b.body_ap_mm * 2 + an.sac_ap_mm + an.sac_top_mm + 12
    sel = np.flatnonzero((np.abs(at.u) < b.body_rl_mm + 4) & (at.v > 0) & (at.v < near))
    scale = t.body_scale[at.index[sel]]
    half = np.float32(b.body_ap_mm) * scale
    mid = sac_v[sel] + sac_b[sel] + np.float32(b.epidural_front_mm) + half
    side = superellipse_distance(at.u[sel], at.v[sel] - mid, np.float32(b.body_rl_mm) * scale, half, 3.0)
    to_disc = t.to_disc[at.index[sel]]
    p.lay(sel, ramp.share(side - np.float32(1.0)), Tissue.LIGAMENT)
    p.lay(sel, ramp.share(side), Tissue.CORTEX)
    p.lay(sel, ramp.share(side + np.float32(b.cortex_mm)), Tissue.MARROW)
    endplate = ramp.share_along(to_disc - np.float32(b.disc_mm + b.cortex_mm)) * ramp.share(side)
    p.lay(sel, endplate, Tissue.CORTEX)
    disc = ramp.share_along(to_disc - np.float32(b.disc_mm)) * ramp.share(side)
    p.lay(sel, disc, Tissue.LIGAMENT)
    p.lay(sel, disc * ramp.share(side + np.float32(2.2)), Tissue.DISC)

    # Articular pillars and transverse processes with the vertebral artery, at the sides.
    for sign in (-1, 1):
        offset = np.float32(an.sac_rl_mm + b.pillar_mm + 1.5)
        sel = np.flatnonzero((at.u * sign > offset - b.pillar_mm - 3) & (at.u * sign < offset + b.pillar_mm + 3)
                             & (np.abs(at.v) < 18))  # fmt: skip
        u = at.u[sel] * sign - offset
        v = at.v[sel] - sac_v[sel]
        gap = arch[sel] - np.float32(1.5)
        pillar = np.maximum(superellipse_distance(u, v + 3, b.pillar_mm, b.pillar_mm * 1.1, 2.5), gap)
        p.lay(sel, ramp.share(pillar), Tissue.CORTEX)
        p.lay(sel, ramp.share(pillar + np.float32(b.cortex_mm)), Tissue.MARROW)
        # The foramen between the arches, with fat, veins and the nerve root.
        foramen = np.maximum(np.hypot(u + 2, v - 3) - np.float32(4.5), -gap)
        p.lay(sel, ramp.share(foramen) * np.float32(0.8), Tissue.FAT)
        root = np.maximum(np.hypot(u + 1 + sheets[sel], v - 2) - np.float32(1.7), -gap)
        p.lay(sel, ramp.share(root), Tissue.ROOT)
        artery = np.hypot(u - 1, v - np.float32(7.5)) - np.float32(b.artery_mm)
        p.lay(sel, ramp.share(np.maximum(artery - 1.6, gap)), Tissue.CORTEX)
        p.lay(sel, ramp.share(artery - np.float32(0.8)), Tissue.FAT)
        p.lay(sel, ramp.share(artery), Tissue.BLOOD)

    # Laminae around the back of the canal, with ligamentum flavum and fat between them.
    sel = np.flatnonzero(
        (np.abs(at.u) < an.sac_rl_mm + an.sac_top_mm + 9) & (np.abs(at.v) < an.sac_ap_mm + an.sac_top_mm + 14)
    )
    u, v = at.u[sel] - sac_u[sel], at.v[sel] - sac_v[sel]
    back_u, back_v = sac_a[sel] + np.float32(1.0), sac_b[sel] + np.float32(b.epidural_back_mm)
    ring = sac_distance(an, u, v, back_u, back_v)
    behind = np.maximum(ring - np.float32(b.lamina_mm), v - np.float32(2))
    p.lay(sel, ramp.share(behind), Tissue.LIGAMENT)
    lamina = np.maximum(behind, arch[sel])
    p.lay(sel, ramp.share(lamina), Tissue.CORTEX)
    p.lay(sel, ramp.share(lamina + np.float32(b.cortex_mm)), Tissue.MARROW)

    # Spinous processes, sloping down.
    sel = np.flatnonzero((np.abs(at.u) < b.spinous_mm + 3) & (at.v < 0))
    reach = -(at.v[sel] - sac_v[sel]) - sac_b[sel] - np.float32(b.epidural_back_mm)
    shift = np.rint(np.clip(reach, 0, 30) * b.spinous_slope / 0.02).astype(np.intp)
    slab = t.to_arch[np.minimum(at.index[sel] + shift, len(t.s) - 1)] + np.float32(1.5)
    width = np.float32(b.spinous_mm) * (1 + np.float32(0.3) * np.sin(reach / np.float32(6)))
    spine = np.maximum(np.maximum(np.abs(at.u[sel]) - width, slab), np.maximum(-reach, reach - b.spinous_length_mm))
    p.lay(sel, ramp.share(spine), Tissue.CORTEX)
    p.lay(sel, ramp.share(spine + np.float32(b.cortex_mm)), Tissue.MARROW)


def paint_canal(p: Painter, an: Anatomy, at: Local, ramp: Ramp, fine: Float32) -> None:
    """Paint epidural space, dura, cerebrospinal fluid and rootlets; arguments as for :func:`paint`."""
    b, t = an.bulk, an.tables
    reach_u, reach_v = an.sac_rl_mm + an.sac_top_mm + 4, an.sac_ap_mm + an.sac_top_mm + 8
    sel = np.flatnonzero((np.abs(at.u) < reach_u) & (np.abs(at.v) < reach_v))
    sub = take(at, sel)
    sac_a, sac_b = t.sac_a[sub.index], t.sac_b[sub.index]
    u, v = sub.u - t.sac_u[sub.index], sub.v - t.sac_v[sub.index]
    # Epidural space: mostly fat behind, veins in front.
    front, back = np.float32(b.epidural_front_mm), np.float32(b.epidural_back_mm)
    space = sac_distance(an, u, v - (front - back) / 2, sac_a + 1, sac_b + (front + back) / 2)
    p.lay(sel, ramp.share(space), Tissue.FAT)
    p.lay(sel, ramp.share(np.maximum(space, np.float32(1) - v)) * np.float32(0.8), Tissue.BLOOD)
    sac = sac_distance(an, u, v, sac_a, sac_b)
    p.lay(sel, ramp.share(sac - np.float32(b.dura_mm)), Tissue.LIGAMENT, outside=0)
    p.lay(sel, ramp.share(sac), Tissue.CSF, outside=0)
    # Rootlets: strands from the corners of the cord towards the sides.
    a, c = t.cord_a[sub.index].astype(np.float32), t.cord_b[sub.index].astype(np.float32)
    for side in (-1, 1):
        for angle, wave in ((0.75, 0.0), (-0.75, 1.3)):
            drift = (
                np.float32(0.9) + np.float32(0.5) * np.sin(sub.s / 3 + np.float32(wave)) + np.float32(0.25) * fine[sel]
            )
            cu = side * (a * np.float32(np.cos(angle)) + drift)
            cv = np.float32(np.sin(angle)) * (c + drift * np.float32(0.5))
            d = np.hypot((sub.u - cu) / np.float32(1.6), sub.v - cv) - np.float32(b.root_mm)
            p.lay(sel, ramp.share(np.maximum(d, sac)), Tissue.ROOT, outside=0)
    if an.ends and an.ends.conus_s_mm is not None:
        _paint_cauda(p, an, sub, sel, sac, ramp, an.ends.conus_s_mm + an.ends.conus_mm)


def _paint_cauda(p: Painter, an: Anatomy, sub: Local, sel: Index, sac: Float32, ramp: Ramp, top_s_mm: float) -> None:
    """Paint the nerve roots of the cauda equina below ``top_s_mm``; a person who lies on the back has them behind."""
    low = np.flatnonzero((sub.s < top_s_mm) & (sac < 1))
    if not low.size:
        return
    t, at = an.tables, take(sub, low)
    rng = np.random.default_rng(an.texture_seed)
    u, v = at.u - t.sac_u[at.index], at.v - t.sac_v[at.index]
    a, b = t.sac_a[at.index], t.sac_b[at.index]
    for _ in range(int(rng.integers(8, 22))):
        place, turn = np.sqrt(rng.uniform(0.0, 0.75)), rng.uniform(0, 2 * np.pi)
        radius, wave, phase = rng.uniform(0.35, 0.9), rng.uniform(40, 120), rng.uniform(0, 2 * np.pi)
        sway = np.float32(0.08) * np.sin(at.s * np.float32(2 * np.pi / wave) + np.float32(phase))
        cu = a * (np.float32(place * np.cos(turn)) + sway)
        cv = b * (np.float32(place * np.sin(turn) - 0.2) + sway)
        strand = np.hypot(u - cu, v - cv) - np.float32(radius)
        # Each root leaves the conus at its own height.
        starts = at.s - np.float32(top_s_mm - rng.uniform(0, 40))
        p.lay(sel[low], ramp.share(np.maximum(np.maximum(strand, starts), sac[low])), Tissue.ROOT, outside=0)


def paint_cord(p: Painter, an: Anatomy, at: Local, ramp: Ramp) -> None:
    """Paint white and grey matter, fissure and lesions; arguments as for :func:`paint`."""
    t = an.tables
    sel = np.flatnonzero((np.abs(at.u) < t.cord_a.max() + 2) & (np.abs(at.v) < t.cord_b.max() + 2))
    sub = take(at, sel)
    a, c = t.cord_a[sub.index].astype(np.float32), t.cord_b[sub.index].astype(np.float32)
    side = superellipse_distance(sub.u, sub.v, a, c, an.exponent)
    if an.ends and an.ends.conus_s_mm is not None:
        side = np.maximum(side, np.float32(an.ends.conus_s_mm) - sub.s)
    cord = ramp.share(side)
    p.lay(sel, cord, Tissue.WHITE, outside=0)
    p.lay(
        sel, cord * ramp.share(grey_distance(sub.u / a, sub.v / c, an.gm_size) * np.sqrt(a * c)), Tissue.GREY, outside=0
    )
    fissure = np.hypot(sub.u * 3, np.maximum(0, 0.45 * c - sub.v)) - np.float32(0.6)
    p.lay(sel, 0.6 * cord * ramp.share(np.maximum(fissure, -(sub.v - 0.45 * c))), Tissue.CSF, outside=0)
    for lesion in an.lesions:
        p.lay(sel, cord * ramp.share(lesion_distance(sub, a, c, lesion)), Tissue.LESION, outside=0)


def grey_distance(un: Real, vn: Real, size: float) -> Real:
    """Return the signed distance to the grey matter, in half axes of the cord, negative inside.

    It has two thick ventral horns, two thin dorsal horns that nearly reach the surface, and the commissure.

    Parameters
    ----------
    un, vn : (n,) offsets from the centre of the cord, in half axes of the cord
    size : relative to the average
    """
    side = np.abs(un)
    ventral = np.hypot((side - np.float32(0.27)) / np.float32(0.9), vn - np.float32(0.27)) - np.float32(0.19 * size)
    # The dorsal horn: distance to the segment from (0.16, 0) to (0.42, -0.62).
    du, dv = np.float32(0.26), np.float32(-0.62)
    along = np.clip(((side - np.float32(0.16)) * du + vn * dv) / (du * du + dv * dv), 0, 1)
    dorsal = np.hypot(side - np.float32(0.16) - along * du, vn - along * dv) - np.float32(0.095 * size)
    bridge = np.maximum(side - np.float32(0.3), np.abs(vn - np.float32(0.06)) - np.float32(0.085 * size))
    distance: Real = np.minimum(np.minimum(ventral, dorsal), bridge)
    return distance


def lesion_distance(at: Local, a: Real, b: Real, lesion: Lesion) -> Real:
    """Return the approximate signed distance (mm) to the surface of a lesion, negative inside.

    Parameters
    ----------
    at : points in the coordinates of the centreline
    a, b : half axes of the cord there (mm), left-right and front-back
    lesion : centre as shares of the half axes, radius and length in mm
    """
    across = np.hypot(at.u - np.float32(lesion.u) * a, at.v - np.float32(lesion.v) * b) / np.float32(lesion.radius_mm)
    along = (at.s - np.float32(lesion.s_mm)) / np.float32(lesion.length_mm)
    distance: Real = (np.hypot(across, along) - 1) * np.float32(lesion.radius_mm)
    return distance
