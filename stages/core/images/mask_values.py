"""Checks of the values of a mask: is it the mask of a spinal cord at all? Arrays have canonical (RAS+) axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .fault import Fault, error
from .volumes import VALUE_TOLERANCE, Volume, nearly_binary

#: No section of a human cord has half of this area (mm2); the largest ones, of the enlargements, have about 110.
LARGEST_MM2 = 300.0
#: Nor do the voxels of a soft mask that are not 0 cover this area (mm2), its soft border included.
LARGEST_SUPPORT_MM2 = 500.0
#: A mask that fills this part of the view in its slices is no mask of a cord inside it.
FULL_VIEW = 0.9
#: A body of more voxels is no cord, and is not looked at for its direction.
MOST_BODY = 1_000_000
#: A body longer than this (mm), by this ratio longer than wide, and turned by more than this angle (degrees) away from
#: the slice axis is a cord whose header names its axes wrongly: no stack is tilted so far.
ACROSS_MM, ACROSS_RATIO, ACROSS_DEG = 25.0, 1.5, 55.0


def faults_of_values(mask: Volume) -> list[Fault]:
    """Check that values lie in [0, 1] and look like a cord's: not one stored level, no image, no swapped axes.

    Parameters
    ----------
    mask : soft or binary; finite values
    """
    low, high = float(mask.data.min(initial=0.0)), float(mask.data.max(initial=0.0))
    if low < -VALUE_TOLERANCE or high > 1.0 + VALUE_TOLERANCE:
        worst = low if low < -VALUE_TOLERANCE else high
        return [error("mask-values", f"has values from {low:.7g} to {high:.7g}", "values from 0 to 1", worst)]
    inside = mask.data > VALUE_TOLERANCE
    if not inside.any():
        return []
    fault = _one_level(mask.data, inside) or _axes(mask) or _image(mask, inside)
    return [] if fault is None else [fault]


def _one_level(data: NDArray[np.float32], inside: NDArray[np.bool_]) -> Fault | None:
    """Find a binary mask whose cord is not 1, as when its header keeps the scaling of an image."""
    values = data[inside]
    low, high = float(values.min()), float(values.max())
    if high - low > VALUE_TOLERANCE or nearly_binary(values):
        return None
    say = f"has one value besides 0, {high:.5g} (does its header keep the scaling of an image, scl_slope?)"
    return error("mask-values", say, "1, or the many values of a soft mask", high)


def _image(mask: Volume, inside: NDArray[np.bool_]) -> Fault | None:
    """Find a mask that is an image: it fills the view, or its sections are larger than any cord."""
    held = inside.any(axis=(0, 1))
    share = float(np.median(inside[:, :, held].mean(axis=(0, 1))))
    if share >= FULL_VIEW:
        say = f"fills {share:.0%} of the view in the slices that it covers (is it the image itself?)"
        return error("mask-no-cord", say, "a cord with background around it", share)
    x, y, _ = mask.spacing_mm
    area = float(np.median(mask.data[:, :, held].sum(axis=(0, 1), dtype=np.float64))) * x * y
    support = float(np.median(inside[:, :, held].sum(axis=(0, 1)))) * x * y
    if area > LARGEST_MM2 or support > LARGEST_SUPPORT_MM2:
        say = f"has {area:.0f} mm2 in a section, spread over {support:.0f} mm2 (is it an image, or another structure?)"
        return error("mask-no-cord", say, f"a cord, which has at most {LARGEST_MM2 / 2:g} mm2", area)
    return None


def _axes(mask: Volume) -> Fault | None:
    """Find a cord that runs across the slices: another axis of the data goes from foot to head than the header says."""
    body = mask.data >= 0.5 * float(mask.data.max())
    if int(body.sum()) > MOST_BODY:
        return None
    labelled, count = ndimage.label(body, structure=np.ones((3, 3, 3)))
    largest = int(np.bincount(labelled.ravel())[1:].argmax()) if count > 1 else 0
    where = np.argwhere(labelled == largest + 1) * np.array(mask.spacing_mm)
    if len(where) < 2:
        return None
    lengths, axes = np.linalg.eigh(np.cov(where.T))
    lengths = np.sqrt(12.0 * np.clip(lengths, 0.0, None))  # of a body with the same variance and straight sides
    angle = float(np.degrees(np.arccos(min(1.0, abs(float(axes[2, -1]))))))
    if angle > ACROSS_DEG and lengths[-1] > ACROSS_MM and lengths[-1] > ACROSS_RATIO * lengths[-2]:
        say = (
            f"is {lengths[-1]:.0f} mm long in a direction {angle:.0f} degrees away from the axis that its header calls "
            "foot to head (the orientation in the header is not that of the data)"
        )
        return error("mask-axes", say, "a cord that runs from slice to slice", angle)
    return None
