"""Head and jaw of a large view: simple bodies around the foramen magnum that look realistic but were not measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..acquisition.tissues import Tissue
from ..anatomy.parts import Float32
from ..anatomy.shapes import Point, ellipsoid, tube
from .scene import Painter, Ramp

#: Function that paints a tissue where a signed distance (mm) is negative.
Lay = Callable[[Float32, Tissue], None]
#: Centre and radii of the skull in mm, relative to the foramen magnum (x right, y front, z up).
SKULL: tuple[Point, Point] = ((0.0, 20.0, 64.0), (74.0, 93.0, 71.0))
TILT_DEG = 14.0


def skull(p: Float32) -> Float32:
    """Return the distance (mm) to the outer surface of the skull; ``p`` (3, n) in mm from the foramen magnum."""
    return ellipsoid(p, *SKULL, tilt_deg=TILT_DEG)


def outline(p: Float32) -> Float32:
    """Return the distance (mm) to the skin of head and face; ``p`` (3, n) in mm from the foramen magnum."""
    scalp = skull(p) - np.float32(6)
    # The face is narrower at the chin.
    narrow = np.clip(1 - (p[2] + 5) * np.float32(0.0045), 0.75, 1.45)
    face = ellipsoid(np.stack([p[0] * narrow, p[1], p[2]]), (0, 58, -2), (65, 53, 66), exponent=2.8)
    nose = ellipsoid(p, (0, 110, 14), (13, 18, 20), tilt_deg=-25)
    skin: Float32 = np.minimum(np.minimum(scalp, face), nose)
    return skin


def paint_head(p: Painter, q: Float32, ramp: Ramp, sheets: Float32) -> None:
    """Paint skull, brain, face and jaw.

    Parameters
    ----------
    p : painter of the points
    q : (3, n) the points in mm from the foramen magnum
    ramp : width of boundaries
    sheets : (n,) texture of which the sulci are made
    """
    sel = np.flatnonzero((q[2] > -75) & (q[2] < 170))
    if not sel.size:
        return
    points, folds = q[:, sel], sheets[sel]

    def lay(distance: Float32, tissue: Tissue) -> None:
        near = distance < 2
        p.lay(sel[near], ramp.share(distance[near]), tissue)

    _face(lay, points)
    vault = skull(points)
    lay(vault, Tissue.CORTEX)
    lay(vault + 2, Tissue.MARROW)
    lay(vault + 5, Tissue.CORTEX)
    lay(vault + np.float32(6.5), Tissue.CSF)
    # Sulci: sheets of fluid, up to about 13 mm deep, with grey matter on both sides and on top.
    sheet = np.abs(folds)
    lay(vault + np.float32(8.5), Tissue.GREY)
    lay(np.maximum(vault + 12, np.minimum((np.float32(0.8) - sheet) * 6, vault + 24)), Tissue.WHITE)
    lay(np.maximum(np.maximum(vault + 8, -(vault + 21)), (sheet - np.float32(0.28)) * 6), Tissue.CSF)
    for side in (-1, 1):
        lay(ellipsoid(points, (side * 11, 18, 80), (6, 32, 9), tilt_deg=10), Tissue.CSF)
        lay(ellipsoid(points, (side * 22, 22, 68), (11, 22, 11)), Tissue.GREY)
    _posterior_fossa(lay, points, folds)


def _posterior_fossa(lay: Lay, points: Float32, folds: Float32) -> None:
    """Paint cerebellum, pons and midbrain, and the fluid around them."""
    fossa = ellipsoid(points, (0, -14, 26), (54, 44, 30))
    inside = np.maximum(fossa, skull(points) + 7)
    lay(inside, Tissue.CSF)
    lay(np.maximum(ellipsoid(points, (0, -17, 26), (53, 40, 29)), inside + 1), Tissue.GREY)
    leaves = np.maximum(ellipsoid(points, (0, -20, 27), (38, 20, 17)), folds * 5)
    lay(np.maximum(leaves, inside + 4), Tissue.WHITE)
    lay(tube(points, ((0, 0, -4), (0, 4, 14), (0, 9, 30), (0, 12, 50)), 7), Tissue.WHITE)
    lay(ellipsoid(points, (0, 12, 30), (17, 12, 13)), Tissue.WHITE)
    lay(ellipsoid(points, (0, -3, 31), (5, 4, 9)), Tissue.CSF)


def _face(lay: Lay, points: Float32) -> None:
    """Paint jaw, teeth, tongue, palate, nose, sinuses and eyes."""
    for side in (-1, 1):
        lay(ellipsoid(points, (side * 40, 74, -8), (13, 22, 22)), Tissue.FAT)  # cheeks
        lay(tube(points, ((side * 52, 36, -26), (side * 53, 32, 2)), 6), Tissue.MUSCLE)  # masseter
    # The nose is above palate and upper jaw, the mouth below.
    upper = ellipsoid(points, (0, 70, 4), (34, 36, 16), exponent=3.0)
    lay(upper, Tissue.CORTEX)
    lay(upper + 2, Tissue.MARROW)
    lay(ellipsoid(points, (0, 66, -24), (25, 36, 21)), Tissue.MUSCLE)  # tongue
    lay(np.maximum(ellipsoid(points, (0, 62, -22), (27, 40, 23)), np.abs(points[2] + 4) - np.float32(1.5)), Tissue.AIR)
    nose = ellipsoid(points, (0, 72, 26), (15, 38, 22), exponent=2.5)
    lay(nose, Tissue.DISC)
    lay(np.maximum(nose + 2, np.float32(1.2) - np.abs(points[0])), Tissue.AIR)
    for side in (-1, 1):
        lay(ellipsoid(points, (side * 8, 74, 20), (4, 26, 6)), Tissue.DISC)  # turbinates
        lay(ellipsoid(points, (side * 29, 74, 24), (13, 17, 16)), Tissue.AIR)
        lay(ellipsoid(points, (side * 31, 88, 52), (17, 20, 16)), Tissue.FAT)
        lay(ellipsoid(points, (side * 31, 94, 52), (12, 12, 12)), Tissue.CSF)
    jaw: tuple[Point, ...] = ((42, 22, 8), (43, 28, -32), (38, 62, -44), (23, 90, -50), (0, 96, -50))
    for side in (-1, 1):
        line = tuple((side * x, y, z) for x, y, z in jaw)
        bone = tube(points, line, 7.5)
        lay(bone, Tissue.CORTEX)
        lay(bone + np.float32(2.2), Tissue.MARROW)
        for height in (-30.0, -12.0):  # both rows of teeth
            row = tuple((side * x, y, height) for x, y in ((22.0, 62.0), (18.0, 84.0), (0.0, 95.0)))
            lay(tube(points, row, 5.0), Tissue.CORTEX)
