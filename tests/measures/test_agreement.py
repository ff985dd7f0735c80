"""Agreement of two masks, compared with counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.base.errors import ImageError
from stages.core.images.volumes import Volume
from stages.core.measures.cohort.agreement import agreement

AFFINE = np.diag([0.5, 0.5, 4.0, 1.0])  # 1 mm3 a voxel


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
