"""The picture of one drafted mask: twelve sections across the cord, a view from the side, and the outline apart.

Sections are seen from below, with the patient's right on the left, and go down the cord row by row. The view from the
side follows the cord, with the front on the left. The outline is a path of its own, so that a page can hide it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import contourpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...images.volumes import Volume

Floats = NDArray[np.float32]
#: Sections: columns and rows of the mosaic, and the side of one in pixels and in mm.
COLUMNS, ROWS, SIDE_PX, SIDE_MM = 4, 3, 170, 38.0
#: Width of the view from the side in pixels and in mm; it is as high as the mosaic.
SAGITTAL_PX, SAGITTAL_MM = 260, 60.0
#: Mm of the image above and below the mask that the view from the side shows.
BEYOND_MM = 12.0


@dataclass(frozen=True)
class Panel:
    """A grey picture as JPEG, its size in pixels, and the outline of the mask on it as the text of an SVG path."""

    jpeg: bytes
    width: int
    height: int
    outline: str


def draw_panel(image: Volume, mask: Volume) -> Panel:
    """Draw a mask on its image; both are (nx, ny, nz) in canonical axes, and the mask holds at least one voxel.

    The same input gives the same bytes.
    """
    body = mask.data >= 0.5
    held = np.flatnonzero(body.any(axis=(0, 1)))
    grey = _grey(image.data, body)
    centres = _centres(body, held)
    chosen = shown_sections(body)
    width, height = COLUMNS * SIDE_PX + SAGITTAL_PX, ROWS * SIDE_PX
    canvas, paths = np.zeros((height, width), np.float32), []
    px, py, pz = image.spacing_mm
    for place, k in enumerate(chosen):
        row, column = divmod(place, COLUMNS)
        x, y = centres[k]
        # Columns run from the patient's right to the left (x falls in canonical axes), rows from the front to the back.
        across = x + np.linspace(0.5, -0.5, SIDE_PX) * SIDE_MM / px
        down = y + np.linspace(0.5, -0.5, SIDE_PX) * SIDE_MM / py
        top, left = row * SIDE_PX, column * SIDE_PX
        # A dark line between the sections.
        canvas[top : top + SIDE_PX, left : left + SIDE_PX - 1] = _sample(grey[:, :, k], across, down)[:, :-1]
        paths += _outline(body[:, :, k], across, down, left, top)
    span = (held[-1] - held[0]) * pz + 2 * BEYOND_MM
    scale = max(span / height, SAGITTAL_MM / SAGITTAL_PX)
    heights = (held[0] + held[-1]) / 2 + np.linspace(0.5, -0.5, height) * height * scale / pz
    middle = float(np.mean([y for _, y in centres.values()]))
    across = middle + np.linspace(0.5, -0.5, SAGITTAL_PX) * SAGITTAL_PX * scale / py
    columns = np.array([x for x, _ in centres.values()], dtype=np.float32)
    canvas[:, COLUMNS * SIDE_PX :] = _sample(_follow(grey, columns, held), across, heights)
    paths += _outline(_follow(body, columns, held), across, heights, COLUMNS * SIDE_PX, 0)
    out = io.BytesIO()
    Image.fromarray(np.round(255 * canvas).astype(np.uint8)).save(out, "JPEG", quality=75)
    return Panel(out.getvalue(), width, height, " ".join(paths))


def shown_sections(body: NDArray[np.bool_]) -> list[int]:
    """Return the slices of the mosaic, from the top of a mask (nx, ny, nz) to its end, evenly spaced."""
    held = np.flatnonzero(body.any(axis=(0, 1)))
    places = np.round(np.linspace(len(held) - 1, 0, min(COLUMNS * ROWS, len(held))))
    return [int(k) for k in held[places.astype(int)]]


def _grey(data: Floats, body: NDArray[np.bool_]) -> Floats:
    """Scale the image to [0, 1] by the percentiles of what lies around the mask."""
    where = np.argwhere(body)
    low, high = np.maximum(where.min(axis=0) - 20, 0), where.max(axis=0) + 21
    near = data[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    dark, bright = np.percentile(near, [1.0, 99.5])
    scaled = (data - dark) / max(float(bright - dark), 1e-6)
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)


def _centres(body: NDArray[np.bool_], held: NDArray[np.int64]) -> dict[int, tuple[float, float]]:
    found = {}
    for k in held:
        where = np.argwhere(body[:, :, k])
        found[int(k)] = (float(where[:, 0].mean()), float(where[:, 1].mean()))
    return found


def _follow(data: NDArray[Any], columns: Floats, held: NDArray[np.int64]) -> NDArray[Any]:
    """Return the (ny, nz) sheet along the cord; beyond its ends the nearest column is taken."""
    every = np.arange(data.shape[2])
    x = np.clip(np.round(np.interp(every, held, columns)), 0, data.shape[0] - 1).astype(int)
    return np.asarray(data[x, :, every].T)


def _sample(plane: Floats, across: NDArray[np.float64], down: NDArray[np.float64]) -> Floats:
    """Return plane[across, down] as (rows, columns), linear between voxels and 0 outside."""
    first, second = (_weights(at, size) for at, size in zip((across, down), plane.shape, strict=True))
    return np.asarray((first @ plane @ second.T).T, dtype=np.float32)


def _weights(at: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the matrix (len(at), size) that interpolates linearly at these indices."""
    out = np.zeros((len(at), size))
    low = np.floor(at).astype(int)
    for index, weight in ((low, 1 - (at - low)), (low + 1, at - low)):
        inside = (index >= 0) & (index < size)
        out[np.flatnonzero(inside), index[inside]] += weight[inside]
    return out


def _outline(
    plane: NDArray[np.bool_], across: NDArray[np.float64], down: NDArray[np.float64], left: int, top: int
) -> list[str]:
    """Return the contour of a mask at one half as parts of an SVG path, in the pixels of its tile.

    Parameters
    ----------
    plane : the mask; first index across, second down
    across, down : index of the mask at each column and row of the tile, evenly spaced and falling
    left, top : corner of the tile
    """
    # Framed by zeros, so that the contour of a mask that reaches the border of the image is closed.
    lines = contourpy.contour_generator(z=np.pad(plane.T.astype(np.float64), 1)).lines(0.5)
    parts = []
    for line in lines:
        points = np.asarray(line, dtype=np.float64) - 1
        x = left + np.clip((points[:, 0] - across[0]) / (across[1] - across[0]), 0, len(across) - 1)
        y = top + np.clip((points[:, 1] - down[0]) / (down[1] - down[0]), 0, len(down) - 1)
        parts.append("M" + "L".join(f"{a:.4g},{b:.4g}" for a, b in zip(x, y, strict=True)))
    return parts
