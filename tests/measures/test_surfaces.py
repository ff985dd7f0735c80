"""Surface distances, compared with examples worked out by hand and with SimpleITK."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name everybody knows it by
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stages.core.measures.cohort.agreement import Mask, surface_distances

SPACING = st.tuples(*[st.sampled_from([0.35, 0.5, 0.84375, 1.0, 5.0])] * 3)
MASKS = arrays.arrays(bool, (6, 5, 4))


def plate(at: int) -> Mask:
    mask = np.zeros((9, 4, 4), dtype=bool)
    mask[at] = True
    return mask


def oracle(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Return the same distances from SimpleITK's contour and distance filters."""
    contours = []
    for mask in (a, b):
        image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8).transpose(2, 1, 0))
        image.SetSpacing(spacing_mm)
        contours.append(sitk.LabelContour(image, fullyConnected=False))
    maps = [
        np.abs(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(c, squaredDistance=False, useImageSpacing=True)))
        for c in contours
    ]
    edges = [sitk.GetArrayFromImage(c) > 0 for c in contours]
    there, back = maps[1][edges[0]], maps[0][edges[1]]
    return float(np.concatenate([there, back]).mean()), float(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_the_distance_of_two_plates() -> None:
    """Every point of one plate is exactly 3 steps of 0.8 mm from the other: mean and percentile are 2.4 mm."""
    assert surface_distances(plate(2), plate(5), (0.8, 1.0, 5.0)) == pytest.approx((2.4, 2.4))


def test_each_point_counts_once_and_the_worse_direction_gives_hd95() -> None:
    """One voxel against itself and one 4 mm away: distances 0 | 0, 4. ASSD 4 / 3; percentiles 0 and 3.8."""
    one, two = np.zeros((6, 1, 1), dtype=bool), np.zeros((6, 1, 1), dtype=bool)
    one[0], two[[0, 4]] = True, True
    expected = (4.0 / 3.0, 3.8)
    assert surface_distances(one, two, (1.0, 1.0, 1.0)) == pytest.approx(expected)
    assert surface_distances(two, one, (1.0, 1.0, 1.0)) == pytest.approx(expected)


def test_a_cavity_adds_no_surface() -> None:
    """A 5-cube against its shell: the surfaces are the same though 27 voxels differ."""
    solid = np.pad(np.ones((5, 5, 5), dtype=bool), 1)
    hollow = solid.copy()
    hollow[2:5, 2:5, 2:5] = False
    assert surface_distances(solid, solid, (1, 1, 1)) == (0.0, 0.0)
    # All 98 voxels of the shell are surface of both: the cavity adds no voxel to the hollow one's.
    assert surface_distances(solid, hollow, (1, 1, 1)) == (0.0, 0.0)


@pytest.mark.parametrize("pair", [(0, 0), (0, 1), (1, 0)])
def test_empty_masks_have_no_distance(pair: tuple[int, int]) -> None:
    masks = [np.full((3, 3, 3), bool(full)) for full in pair]
    assert all(math.isnan(value) for value in surface_distances(masks[0], masks[1], (1, 1, 1)))


@settings(max_examples=60)
@given(MASKS, MASKS, SPACING)
def test_simpleitk_agrees(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> None:
    a[0, 0, 0] = b[5, 4, 3] = True
    found = surface_distances(a, b, spacing_mm)
    assert found == pytest.approx(oracle(a, b, spacing_mm), abs=1e-4)  # SimpleITK's maps are single precision
    assert found == pytest.approx(surface_distances(b, a, spacing_mm))
