"""Where a cord lies in an image: what a coarse pass found, grown by a margin, and whether one can rely on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...images.volumes import Volume
from ..segmentation.tiles import Mask, on_grid_of

#: Why the whole image is searched where the localiser sees nothing.
NOTHING = "the coarse pass found no cord"
#: Probability from which a coarse voxel may be cord. A thin cord fills less than half of a voxel of 2.5 mm.
LEAST = 0.3
#: The second largest piece may have this share of the voxels of the largest.
SECOND = 0.25
#: A cord in view is at least this long (mm), or runs through half of the image. Noise gives shorter pieces.
SHORTEST_MM = 20.0
#: So far around the coarse cord the fine one is looked for, mm: in the section, and along the cord.
ASIDE_MM, ALONG_MM = 8.0, 16.0


@dataclass(frozen=True)
class Region:
    """Where to look.

    Attributes
    ----------
    near : (nx, ny, nz) on the grid of the image: voxels near the cord
    cord : (nx, ny, nz) on the same grid: voxels of the coarse cord itself
    unsure : why the whole image should be searched instead; ``""`` where the region can be relied on
    """

    near: Mask
    cord: Mask
    unsure: str = ""


def region_of(coarse: Volume, image: Volume) -> Region:
    """Return the region around the largest piece of a coarse segmentation.

    Parameters
    ----------
    coarse : probability of cord, in [0, 1], on a grid of its own over the same field of view
    image : the image, whose grid the region has
    """
    nowhere = np.zeros(image.data.shape, bool)
    pieces, count = ndimage.label(coarse.data >= LEAST, structure=np.ones((3, 3, 3)))
    if not count:
        return Region(nowhere, nowhere, NOTHING)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    order = np.argsort(sizes)[::-1]
    cord = pieces == order[0]
    if too_short(cord, coarse.spacing_mm):
        return Region(nowhere, nowhere, NOTHING)
    if sizes[order[1]] > SECOND * sizes[order[0]]:
        return Region(nowhere, nowhere, f"the coarse pass found {count} pieces, none of which is by far the largest")
    fine = on_grid_of(cord, image.data.shape)
    return Region(grown(fine, image.spacing_mm), fine)


def share_missed(cord: Mask, coarse: Mask) -> float:
    """Return the share of the slices (last axis) with coarse cord in which a mask is empty; NaN if there are none."""
    expected = np.flatnonzero(coarse.any(axis=(0, 1)))
    there = np.flatnonzero(cord.any(axis=(0, 1)))
    return float(1 - np.isin(expected, there).mean()) if expected.size else float("nan")


def too_short(cord: Mask, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether a piece is too short for a cord."""
    extent = [int(np.ptp(at)) + 1 for at in np.nonzero(cord)]
    through = max(n / most for n, most in zip(extent, cord.shape, strict=True))
    return through < 0.5 and max(n * size for n, size in zip(extent, spacing_mm, strict=True)) < SHORTEST_MM


def grown(cord: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return a mask with the margins around it; the last axis (z) is the one along which a cord runs."""
    margins = (ASIDE_MM, ASIDE_MM, ALONG_MM)
    out = cord
    for axis, (margin, size) in enumerate(zip(margins, spacing_mm, strict=True)):
        width = 2 * int(np.ceil(margin / size)) + 1
        out = ndimage.maximum_filter1d(out.view(np.uint8), width, axis=axis, mode="constant").view(bool)
    return out


def touches_the_end(cord: Mask, near: Mask) -> bool:
    """Whether a cord reaches the surface of the region in which it was looked for, inside the image."""
    edge = near & ~ndimage.binary_erosion(near, structure=np.ones((3, 3, 3)), border_value=1)
    return bool((cord & edge).any())
