"""What an image is like, in numbers: grid, intensities, and how the cord and a ring around it look.

Intensities are first brought to mean 0 and standard deviation 1 over the whole image, as nnU-Net does it, so that the
numbers of two scanners can be compared.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage.feature import graycomatrix, graycoprops

from ...images.volumes import Volume
from ..datasets.image_features import IMAGE_FEATURES

#: The ring lies between these distances from the cord, in mm, across the body.
RING_MM = (1.0, 4.0)
#: Grey levels of the co-occurrence matrix.
LEVELS = 16


def image_features(image: Volume, mask: NDArray[np.bool_] | None) -> dict[str, float]:
    """Return ``IMAGE_FEATURES`` of an image; NaN where one is not defined.

    Texture is that of grey-level co-occurrence matrices (Haralick 1973, doi:10.1109/TSMC.1973.4309314) of neighbours
    across the body, over ``LEVELS`` levels between the 1 % and 99 % quantiles of the cord or the ring.

    Parameters
    ----------
    image : (nx, ny, nz) in canonical axes
    mask : (nx, ny, nz), true in the cord; None where there is no mask
    """
    found = dict.fromkeys(IMAGE_FEATURES, math.nan)
    for axis, spacing, count in zip("xyz", image.spacing_mm, image.data.shape, strict=True):
        found |= {f"spacing_{axis}_mm": spacing, f"extent_{axis}_mm": spacing * count}
    mean, spread = float(image.data.mean(dtype=np.float64)), float(image.data.std(dtype=np.float64))
    if spread == 0:
        return found
    quantiles = (np.percentile(image.data, [10, 25, 50, 75, 90]) - mean) / spread
    found |= {f"intensity_q{q}": float(value) for q, value in zip((10, 25, 50, 75, 90), quantiles, strict=True)}
    if mask is None or not mask.any():
        return found
    window = _window(mask, image.spacing_mm)
    cord, grey = mask[window], (image.data[window] - np.float32(mean)) / np.float32(spread)
    ring = _ring(cord, image.spacing_mm)
    found["border_contrast"] = border_contrast(grey, cord, ring)
    for name, where in (("cord", cord), ("ring", ring)):
        if where.any():
            values = grey[where].astype(np.float64)
            found |= {f"{name}_mean": float(values.mean()), f"{name}_sd": float(values.std())}
            found[f"{name}_skewness"] = float(stats.skew(values)) if values.std() > 0 else math.nan
            found |= {f"{name}_glcm_{key}": value for key, value in _texture(grey, where).items()}
    return found


def contrast_to_noise(image: Volume, mask: NDArray[np.bool_]) -> float:
    """Return the contrast-to-noise at the border of a cord (nx, ny, nz); NaN where the ring is empty."""
    window = _window(mask, image.spacing_mm)
    return border_contrast(image.data[window], mask[window], _ring(mask[window], image.spacing_mm))


def border_contrast(grey: NDArray[np.float32], cord: NDArray[np.bool_], ring: NDArray[np.bool_]) -> float:
    """Return the difference of the medians of cord and ring, over the robust standard deviation within the cord."""
    if not (cord.any() and ring.any()):
        return math.nan
    inside, outside = grey[cord], grey[ring]
    spread = float(stats.median_abs_deviation(inside, scale="normal"))
    return abs(float(np.median(inside) - np.median(outside))) / spread if spread > 0 else math.nan


def _window(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> tuple[slice, ...]:
    """Return the box of the mask, with room for the ring across the body."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    room = [int(np.ceil(RING_MM[1] / size)) + 1 for size in spacing_mm[:2]] + [0]
    return tuple(slice(max(one.start - more, 0), one.stop + more) for one, more in zip(box, room, strict=True))


def _ring(cord: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    ring = np.zeros_like(cord)
    for k in np.flatnonzero(cord.any(axis=(0, 1))):
        away = ndimage.distance_transform_edt(~cord[:, :, k], sampling=spacing_mm[:2])
        ring[:, :, k] = (away > RING_MM[0]) & (away <= RING_MM[1])
    return ring


def _texture(grey: NDArray[np.float32], where: NDArray[np.bool_]) -> dict[str, float]:
    low, high = np.percentile(grey[where], [1, 99])
    names = ("contrast", "homogeneity", "correlation")
    if high <= low:
        return dict.fromkeys(names, math.nan)
    scaled = np.clip((grey - low) / (high - low), 0, 1)
    # Level 0 stands for what lies outside, and its row and column are dropped.
    levels = np.where(where, 1 + np.minimum((scaled * LEVELS).astype(np.uint8), LEVELS - 1), 0).astype(np.uint8)
    total = np.zeros((LEVELS, LEVELS, 1, 2))
    for k in np.flatnonzero(where.any(axis=(0, 1))):
        total += graycomatrix(levels[:, :, k], [1], [0, np.pi / 2], levels=LEVELS + 1, symmetric=True)[1:, 1:]
    if not total.any():
        return dict.fromkeys(names, math.nan)
    both = total.sum(axis=3, keepdims=True)
    return {name: float(graycoprops(both / both.sum(), name)[0, 0]) for name in names}
