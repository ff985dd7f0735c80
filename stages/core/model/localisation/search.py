"""Coarse to fine: a small network finds the cord on a coarse grid, and the bundle segments what lies around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.volumes import Volume
from ..bundle.content import Bundle
from ..bundle.localiser import read_localiser
from ..segmentation.found import Found, Searching
from ..segmentation.predictor import Predict, Predictor
from ..segmentation.settings import Segment
from ..segmentation.tiles import Mask
from .region import NOTHING, Region, grown, region_of, share_missed, too_short, touches_the_end

#: So often the region grows where the cord goes on beyond it.
MOST_GROWTHS = 3
#: Distance of neighbouring tiles of the coarse pass, in parts of a tile.
COARSE_STEP = 0.75
#: The mask may lack this share of the slices in which the coarse pass finds a cord.
MOST_MISSED = 0.1
#: A region with a larger share of the image saves nothing.
WORTH = 0.5


def make_search(bundle: Bundle, settings: Segment) -> Searching:
    """Return what segments volumes with a bundle.

    Parameters
    ----------
    bundle : the model
    settings : of the inference; the localiser takes device, backend and threads from them

    Raises
    ------
    SettingsError, BundleError
        See ``Predictor``; or the localiser was changed.
    """
    fine = Predictor(bundle, settings)
    if not settings.coarse_to_fine or len(fine.configuration.patch_size) == 2:  # tiles of a slice cannot follow a cord
        return lambda volume: _found(fine, fine.each(volume))
    quick = settings.model_copy(update={"step": COARSE_STEP, "mirror": False, "largest_component": False})
    return Search(fine, Predictor(read_localiser(), quick))


def make_predict(bundle: Bundle, settings: Segment) -> Predict:
    """Return the same, of which the probabilities alone are wanted."""
    search = make_search(bundle, settings)
    return lambda volume: search(volume).soft


class Search:
    """Segment a volume near the place where a coarse pass finds the cord; the whole of it where that is unsure."""

    def __init__(self, fine: Predictor, coarse: Predictor) -> None:
        """Bind the predictors of the bundle and of the localiser, whose plan has larger voxels."""
        self.fine, self.coarse = fine, coarse

    def __call__(self, volume: Volume) -> Found:
        """Segment one volume."""
        region = self.locate(volume)
        if region.unsure or region.near.mean() > WORTH:
            soft = self.fine.each(volume)
            cord = soft[0] >= self.fine.settings.threshold
            if region.unsure == NOTHING and cord.any() and too_short(cord, volume.spacing_mm):
                # Noise, and images without cord: a network answers something somewhere.
                why = f"{NOTHING}, and the fine one nothing as long as a cord"
                return _found(self.fine, np.zeros_like(soft), why_whole=why)
            return _found(self.fine, soft, why_whole=region.unsure, doubt=_doubt(cord, region))
        near = region.near
        for _ in range(MOST_GROWTHS):
            soft = self.fine.each_within(volume, near)
            cord = soft[0] >= self.fine.settings.threshold
            if not cord.any():
                why = "the coarse pass found a cord, and the fine one none there"
                return _found(self.fine, self.fine.each(volume), why_whole=why)
            if not touches_the_end(cord, near):
                return _found(self.fine, soft, share=float(near.mean()), doubt=_doubt(cord, region))
            near = near | grown(cord, volume.spacing_mm)
        why = f"the cord goes on beyond the region, also after {MOST_GROWTHS} steps"
        return _found(self.fine, self.fine.each(volume), why_whole=why)

    def locate(self, volume: Volume) -> Region:
        """Return the region in which the localiser finds the cord."""
        coarse = coarsened(volume, tuple(self.coarse.configuration.spacing))
        return region_of(Volume(self.coarse(coarse), coarse.affine), volume)


def _found(fine: Predictor, soft: NDArray[np.float32], **said: Any) -> Found:
    """Return what was found: ``soft`` (r, nx, ny, nz) holds the regions of the bundle."""
    cord, *others = soft
    return Found(cord, others=dict(zip(fine.regions[1:], others, strict=True)), **said)


def _doubt(cord: Mask, region: Region) -> str:
    missed = share_missed(cord, region.cord)
    if not missed > MOST_MISSED:
        return ""
    return f"in {100 * missed:.0f} % of the slices in which the coarse pass finds a cord the mask is empty"


def coarsened(volume: Volume, spacing_mm: tuple[float, ...]) -> Volume:
    """Return a volume on a coarser grid over the same field of view, each voxel the mean of those that it replaces.

    The voxels have about ``spacing_mm`` (z, y, x); along axes where they are larger already they stay as they are.
    """
    shape = [
        max(1, min(n, round(n * have / want)))
        for n, have, want in zip(volume.data.shape, volume.spacing_mm, spacing_mm[::-1], strict=True)
    ]
    mean = volume.data
    for axis, (n, m) in enumerate(zip(volume.data.shape, shape, strict=True)):
        edges, voxel = np.linspace(0, n, m + 1), np.arange(n)
        # The part of each old voxel that lies in each new one.
        parts = np.minimum(edges[1:, None], voxel + 1) - np.maximum(edges[:-1, None], voxel)
        weights = (np.clip(parts, 0, None) * (m / n)).astype(np.float32)
        mean = np.moveaxis(np.tensordot(weights, mean, axes=(1, axis)), 0, axis)
    factors = np.array(volume.data.shape) / np.array(shape)
    affine = volume.affine.copy()
    affine[:3, :3] *= factors
    affine[:3, 3] += volume.affine[:3, :3] @ (0.5 * (factors - 1))
    return Volume(np.ascontiguousarray(mean), affine)
