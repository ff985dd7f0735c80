"""Paint a large view: spine and cord as in the neck, and around them head, shoulders, chest, skin and air."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..acquisition.tissues import Tissue
from ..anatomy.geometry import Anatomy
from ..anatomy.local import Local
from ..anatomy.parts import Ends, Float32
from ..anatomy.shapes import blend, ellipsoid, tube
from .head import outline, paint_head
from .scene import Canvas, Painter, Ramp, Signals, paint_canal, paint_cord, paint_soft_tissue, paint_spine, take

#: Thickness of the skin and of the fat below it, mm.
SKIN_MM, FAT_MM = 2.0, 5.0
#: Distance (mm of s) between the upper ends of spine and cord. Canal and cord reach as far into the skull.
_GAP_MM = 5.0


def paint_surroundings(
    canvas: Canvas,
    an: Anatomy,
    ends: Ends,
    p: Float32,
    at: Local,
    signals: Signals,
    ramp: Ramp,
    texture: tuple[Float32, Float32],
) -> None:
    """Paint a large view.

    Parameters
    ----------
    canvas : n points to paint
    an, ends : anatomy, and its ends
    p : (3, n) the points in the axes of the anatomy, mm
    at : the same points in the coordinates of the centreline
    signals : signal of each tissue, relative to white matter
    ramp : width of boundaries
    texture : see ``sample_texture``
    """
    sheets, fine = texture
    painter = Painter(canvas, signals)
    bulk = replace(an.bulk, skin_mm=1e3)  # in this view the outline of the body is the skin
    paint_soft_tissue(painter, replace(an, bulk=bulk), at, ramp, sheets, fine)
    foramen = an.centre(np.array([ends.top_s_mm]))[0]
    chest = an.centre(np.array([an.discs_s_mm[9]]))[0]  # below the first thoracic vertebra
    q = p - foramen[:, None].astype(np.float32)
    c = p - chest[:, None].astype(np.float32)
    skin = body_outline(an, p, q, c)
    painter.lay(slice(None), ramp.share(-skin - np.float32(SKIN_MM + FAT_MM)), Tissue.FAT)
    painter.lay(slice(None), ramp.share(-skin - np.float32(SKIN_MM)), Tissue.MUSCLE)
    _paint_chest(painter, c, ramp)
    paint_head(painter, q, ramp, sheets)
    painter.lay(slice(None), ramp.share(-skin), Tissue.AIR)
    _paint_neck(canvas, an, ends.top_s_mm, at, signals, ramp, texture)


def body_outline(an: Anatomy, p: Float32, q: Float32, c: Float32) -> Float32:
    """Return the distance (n,) in mm of points to the skin.

    Parameters
    ----------
    an : anatomy
    p, q, c : (3, n) the points in mm in the axes of the anatomy, from the foramen magnum, and from the upper chest
    """
    middle = an.centre(np.array([0.5 * (an.discs_s_mm[4] + an.discs_s_mm[6])]))[0]
    x, y, _ = (p[k] - np.float32(middle[k]) for k in range(3))
    neck = ellipsoid(np.stack([x, y, np.zeros_like(x)]), (0, 8, 0), (58, 60, 1))
    neck = np.maximum(neck, q[2] - 20)
    shoulders = ellipsoid(c, (0, 16, -150), (215, 98, 152), exponent=2.6)
    return blend(blend(neck, outline(q), 25), shoulders, 45)


def _paint_chest(p: Painter, c: Float32, ramp: Ramp) -> None:
    """Paint lungs and bones of the chest at points ``c`` (3, n) in mm from the upper chest."""
    sel = np.flatnonzero(c[2] < 40)
    if not sel.size:
        return
    points = c[:, sel]

    def lay(distance: Float32, tissue: Tissue) -> None:
        p.lay(sel, ramp.share(distance), tissue)

    lay(ellipsoid(points, (0, 48, -85), (20, 26, 60)), Tissue.FAT)  # mediastinum
    lay(ellipsoid(points, (4, 46, -75), (16, 15, 18)), Tissue.BLOOD)  # aortic arch
    for side in (-1, 1):
        lung = ellipsoid(points, (side * 66, 18, -125), (52, 70, 118), exponent=2.3)
        lay(lung - 2, Tissue.CORTEX)
        lay(lung, Tissue.AIR)
        collar = tube(points, ((side * 14, 84, -32), (side * 50, 74, -14), (side * 120, 40, -4)), 6.5)
        lay(collar, Tissue.CORTEX)
        lay(collar + np.float32(2), Tissue.MARROW)
        blade = tube(points, ((side * 62, -46, -40), (side * 80, -52, -90), (side * 70, -58, -140)), 6.0)
        lay(blade, Tissue.CORTEX)
        lay(blade + np.float32(2), Tissue.MARROW)
    breastbone = ellipsoid(points, (0, 92, -90), (20, 7, 62), exponent=3.0, tilt_deg=-8)
    lay(breastbone, Tissue.CORTEX)
    lay(breastbone + np.float32(2), Tissue.MARROW)


def _paint_neck(canvas: Canvas, an: Anatomy, top: float, at: Local, signals: Signals, ramp: Ramp,
                texture: tuple[Float32, Float32]) -> None:  # fmt: skip
    """Paint spine, canal and cord at the points near the centreline, up to the skull."""
    for highest, what in ((top - _GAP_MM, "spine"), (top + _GAP_MM, "cord")):
        near = np.flatnonzero((np.abs(at.u) < 40) & (np.abs(at.v) < 46) & (at.s < highest))
        part = Canvas(*(channel[near] for channel in (canvas.signal, canvas.texture, canvas.outside, canvas.csf)))
        local, painter = take(at, near), Painter(part, signals)
        if what == "spine":
            paint_spine(painter, an, local, ramp, texture[0][near])
        else:
            paint_canal(painter, an, local, ramp, texture[1][near])
            paint_cord(painter, an, local, ramp)
        for name in ("signal", "texture", "outside", "csf"):
            getattr(canvas, name)[near] = getattr(part, name)
