"""Agreement of two masks and the distances of their surfaces, compared with counts by hand and with SimpleITK."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name everybody knows it by
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stages.core.base.errors import ImageError
from stages.core.images.volumes import Volume
from stages.core.measures.cohort.agreement import Mask, agreement, surface_distances

AFFINE = np.diag([0.5, 0.5, 4.0, 1.0])  # 1 mm3 a voxel
SPACING = st.tuples(*[st.sampled_from([0.35, 0.5, 0.84375, 1.0, 5.0])] * 3)
MASKS = arrays.arrays(bool, (6, 5, 4))


def bar(start: int, stop: int, affine: np.ndarray = AFFINE) -> Volume:
    data = np.zeros((10, 2, 2), dtype=np.float32)
    data[start:stop, 0, 0] = 1
    return Volume(data, affine)


@pytest.mark.parametrize(
    ("prediction", "reference", "dice", "rve", "flags"),
    [
        ((2, 6), (2, 6), 1.0, 0.0, ()),
        ((2, 6), (4, 8), 0.5, 0.0, ()),
        ((2, 5), (2, 6), 6 / 7, -25.0, ()),
        ((2, 8), (2, 6), 8 / 10, 50.0, ()),
        ((0, 3), (5, 8), 0.0, 0.0, ()),
        ((0, 0), (2, 6), 0.0, -100.0, ("prediction_empty",)),
        ((2, 6), (0, 0), 0.0, np.nan, ("reference_empty",)),
        ((0, 0), (0, 0), np.nan, np.nan, ("prediction_empty", "reference_empty")),
    ],
)
def test_counts(
    prediction: tuple[int, int], reference: tuple[int, int], dice: float, rve: float, flags: tuple[str, ...]
) -> None:
    result = agreement(bar(*prediction), bar(*reference))
    assert result.dice == pytest.approx(dice, nan_ok=True)
    assert result.rve_percent == pytest.approx(rve, nan_ok=True)
    assert result.volume_prediction_mm3 == pytest.approx(prediction[1] - prediction[0])
    assert result.volume_reference_mm3 == pytest.approx(reference[1] - reference[0])
    assert result.flags == flags


def test_surfaces_are_measured_in_mm() -> None:
    """Bars 2 voxels of 0.5 mm apart: 1, 0.5, 0, 0 mm either way; the 95th percentile of these is 0.925."""
    result = agreement(bar(2, 6), bar(4, 8))
    assert (result.assd_mm, result.hd95_mm) == pytest.approx((0.375, 0.925))


def test_soft_masks_are_compared_at_one_half() -> None:
    soft = bar(2, 6)
    soft.data[2:6, 0, 0] = [0.49, 0.5, 0.51, 1.0]
    assert agreement(soft, bar(3, 6)).dice == 1.0


def test_another_grid_is_refused() -> None:
    with pytest.raises(ImageError, match="one grid"):
        agreement(bar(2, 6), bar(2, 6, np.diag([0.5, 0.5, 4.1, 1.0])))


@given(st.data())
def test_dice_is_symmetric_and_bounded(data: st.DataObject) -> None:
    masks = []
    for seed in (data.draw(st.integers(0, 99)), data.draw(st.integers(0, 99))):
        rng = np.random.default_rng(seed)
        masks.append(Volume(rng.integers(0, 2, (4, 4, 4)).astype(np.float32), AFFINE))
    there, back = agreement(*masks), agreement(*masks[::-1])
    assert there.dice == back.dice
    assert 0 <= there.dice <= 1
    # An independent way to the same number, through the sizes of union and intersection.
    a, b = (mask.data > 0 for mask in masks)
    jaccard = (a & b).sum() / (a | b).sum()
    assert there.dice == pytest.approx(2 * jaccard / (1 + jaccard))


# Surfaces ---


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
