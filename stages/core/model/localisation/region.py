"""Where a cord lies in an image: what a coarse pass found, grown by a margin, and whether one can rely on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...images.volumes import Volume
from ..segmentation.tiles import Mask, on_grid_of

#: Probability from which a coarse voxel may be cord. A thin cord fills less than half of a voxel of 2.5 mm.
LEAST = 0.3
#: The second largest piece may have this share of the voxels of the largest.
SECOND = 0.25
#: A cord in view is at least this long, mm.
SHORTEST_MM = 6.0
#: So far around the coarse cord the fine one is looked for, mm: in the section, and along the cord.
ASIDE_MM, ALONG_MM = 8.0, 16.0


@dataclass(frozen=True)
class Region:
    """Where to look.

    Attributes
    ----------
    near : (nx, ny, nz) on the grid of the image: voxels near the cord
    unsure : why the whole image should be searched instead; ``""`` where the region can be relied on
    """

    near: Mask
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
        return Region(nowhere, "the coarse pass found no cord")
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    order = np.argsort(sizes)[::-1]
    cord = pieces == order[0]
    if sizes[order[1]] > SECOND * sizes[order[0]]:
        return Region(nowhere, f"the coarse pass found {count} pieces, none of which is by far the largest")
    length = max(
        (int(np.ptp(where)) + 1) * size for where, size in zip(np.nonzero(cord), coarse.spacing_mm, strict=True)
    )
    if length < SHORTEST_MM and length < 0.9 * max(n * mm for n, mm in zip(cord.shape, coarse.spacing_mm, strict=True)):
        return Region(nowhere, f"the coarse pass found a piece of only {length:.0f} mm")
    return Region(grown(on_grid_of(cord, image.data.shape), image.spacing_mm))


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
