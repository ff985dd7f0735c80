"""What a coarse pass found becomes a region, or a reason to search the whole image."""

from __future__ import annotations

import numpy as np
import pytest

from stages.core.images.volumes import Volume
from stages.core.model.localisation.region import ALONG_MM, ASIDE_MM, grown, region_of, too_short, touches_the_end

SHAPE = (24, 28, 40)
COARSE = np.diag([2.5, 2.5, 2.5, 1.0])
IMAGE = Volume(np.zeros((60, 70, 100), np.float32), np.eye(4))


def _coarse(*pieces: tuple[slice, slice, slice], value: float = 0.9) -> Volume:
    data = np.zeros(SHAPE, np.float32)
    for piece in pieces:
        data[piece] = value
    return Volume(data, COARSE)


CORD = (slice(10, 14), slice(12, 15), slice(5, 36))


def test_the_region_is_the_cord_with_its_margins_on_the_grid_of_the_image() -> None:
    region = region_of(_coarse(CORD), IMAGE)
    assert region.unsure == ""
    x, y, z = (np.flatnonzero(region.near.any(axis=tuple(k for k in range(3) if k != axis))) for axis in range(3))
    # The cord takes 25 to 35 mm, 30 to 37.5 mm and 12.5 to 90 mm of the view.
    assert (x[0], x[-1]) == (25 - ASIDE_MM, 34 + ASIDE_MM)
    assert abs(y[0] - (30 - ASIDE_MM)) <= 1
    assert abs(y[-1] - (37 + ASIDE_MM)) <= 1
    assert z[0] == 0
    assert z[-1] == 99, "the margin along the cord ends where the image ends"
    assert ALONG_MM > 12.5


@pytest.mark.parametrize(
    ("coarse", "why"),
    [
        (_coarse(), "found no cord"),
        (_coarse(CORD, value=0.2), "found no cord"),
        (_coarse(CORD, (slice(20, 23), slice(2, 5), slice(5, 20))), "2 pieces, none of which is by far the largest"),
        (_coarse((slice(10, 12), slice(12, 14), slice(5, 11)), (slice(20, 22), slice(2, 4), slice(5, 9))), "no cord"),
    ],
)
def test_what_cannot_be_relied_on_is_a_reason(coarse: Volume, why: str) -> None:
    region = region_of(coarse, IMAGE)
    assert why in region.unsure
    assert not region.near.any()


def test_specks_beside_a_cord_are_no_doubt() -> None:
    region = region_of(_coarse(CORD, (slice(20, 22), slice(2, 4), slice(5, 9))), IMAGE)
    assert region.unsure == ""
    assert not region.near[50:, :12].any()


def test_a_single_slice_may_be_all_of_the_view() -> None:
    thin = Volume(np.zeros((24, 28, 1), np.float32), np.diag([2.5, 2.5, 4.0, 1.0]))
    thin.data[8:20, 12:16] = 1
    assert region_of(thin, Volume(np.zeros((60, 70, 1), np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))).unsure == ""


def test_the_margins_are_in_millimetres() -> None:
    point = np.zeros((81, 81, 21), bool)
    point[40, 40, 10] = True
    near = grown(point, (0.5, 1.0, 5.0))
    assert near.any(axis=(1, 2)).sum() == 2 * 16 + 1
    assert near.any(axis=(0, 2)).sum() == 2 * 8 + 1
    assert near.any(axis=(0, 1)).sum() == 2 * 4 + 1  # 16 mm are four slices of 5 mm, rounded up


def test_a_cord_that_goes_on_beyond_the_region_is_noticed_but_not_where_the_image_ends() -> None:
    near = np.zeros((20, 20, 40), bool)
    near[5:15, 5:15, :25] = True
    cord = np.zeros_like(near)
    cord[9:11, 9:11, :24] = True
    assert not touches_the_end(cord, near)
    cord[9:11, 9:11, 24] = True
    assert touches_the_end(cord, near)


@pytest.mark.parametrize(("slices", "short"), [(10, True), (19, True), (20, False), (40, False)])
def test_what_only_the_fine_network_sees_must_be_as_long_as_a_cord(slices: int, short: bool) -> None:
    cord = np.zeros((30, 30, 90), bool)
    cord[10:14, 10:14, 5 : 5 + slices] = True
    assert too_short(cord, (1.0, 1.0, 1.0)) is short
    assert not too_short(cord[:, :, : 2 * slices], (1.0, 1.0, 1.0)), "a slab of few slices shows no more of it"
