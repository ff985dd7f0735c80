"""Coarse to fine: what is found near the cord is what the whole volume gives, and doubt searches the whole volume."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stages.core.images.volumes import Volume
from stages.core.model.localisation.search import Search, coarsened

SHAPE = (60, 64, 90)


def _cord(low: int = 0, high: int = 90) -> NDArray[np.float32]:
    x, y, z = np.indices(SHAPE)
    return (((x - 30) ** 2 + (y - 30 - 4 * np.sin(z / 20)) ** 2 < 36) & (z >= low) & (z < high)).astype(np.float32)


class Fine:
    """Find the bright voxels, in the whole volume or in a region, and note which."""

    settings = SimpleNamespace(threshold=0.5)
    regions = ("cord", "lesion")

    def __init__(self) -> None:
        self.asked: list[float] = []

    def each(self, volume: Volume) -> NDArray[np.float32]:
        self.asked.append(1.0)
        return np.stack([volume.data, 0.25 * volume.data])

    def each_within(self, volume: Volume, near: NDArray[np.bool_]) -> NDArray[np.float32]:
        self.asked.append(float(near.mean()))
        return np.stack([volume.data * near, 0.25 * volume.data * near])


class Coarse:
    """Find the bright voxels below a height, on whatever grid it is given."""

    configuration = SimpleNamespace(spacing=[2.5, 2.5, 2.5])

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, volume: Volume) -> NDArray[np.float32]:
        assert volume.spacing_mm == pytest.approx((2.5, 2.5, 2.5), rel=0.05)
        z = np.arange(volume.data.shape[2]) * volume.spacing_mm[2]
        return volume.data * ((z >= self.low) & (z < self.high))


def _search(coarse: Any) -> tuple[Search, Fine]:
    fine = Fine()
    return Search(fine, coarse), fine  # type: ignore[arg-type]


def test_a_cord_that_is_found_is_segmented_near_it_alone() -> None:
    search, fine = _search(Coarse(0, 90))
    found = search(Volume(_cord(), np.eye(4)))
    np.testing.assert_array_equal(found.soft, _cord())
    np.testing.assert_array_equal(found.regions["lesion"], 0.25 * _cord())
    assert found.why_whole == ""
    assert found.share == fine.asked[-1]
    assert len(fine.asked) == 1
    assert fine.asked[0] < 0.25


def test_a_region_grows_along_a_cord_of_which_the_coarse_pass_found_a_part() -> None:
    search, fine = _search(Coarse(30, 55))
    found = search(Volume(_cord(), np.eye(4)))
    np.testing.assert_array_equal(found.soft, _cord())
    assert found.why_whole == ""
    assert found.share == fine.asked[-1]
    assert fine.asked == sorted(fine.asked)
    assert len(fine.asked) in {2, 3}


def test_a_region_that_grows_without_end_gives_way_to_the_whole_volume() -> None:
    tall = np.zeros((30, 30, 400), np.float32)
    tall[12:18, 12:18] = 1
    search, fine = _search(Coarse(0, 25))
    found = search(Volume(tall, np.eye(4)))
    np.testing.assert_array_equal(found.soft, tall)
    assert "goes on beyond the region" in found.why_whole
    assert fine.asked[-1] == 1.0


def test_doubt_searches_the_whole_volume_and_says_why() -> None:
    search, fine = _search(Coarse(200, 300))
    found = search(Volume(_cord(), np.eye(4)))
    np.testing.assert_array_equal(found.soft, _cord())
    assert (found.why_whole, found.share) == ("the coarse pass found no cord", 1.0)
    assert fine.asked == [1.0]


def test_a_mask_that_lacks_slices_in_which_the_localiser_sees_a_cord_is_in_doubt() -> None:
    class Short(Fine):
        def each_within(self, volume: Volume, near: NDArray[np.bool_]) -> NDArray[np.float32]:
            return super().each_within(volume, near) * (np.arange(SHAPE[2]) < 60)

    found = Search(Short(), Coarse(0, 90))(Volume(_cord(), np.eye(4)))  # type: ignore[arg-type]
    assert found.doubt == "in 33 % of the slices in which the coarse pass finds a cord the mask is empty"
    whole, _ = _search(Coarse(0, 90))
    assert whole(Volume(_cord(), np.eye(4))).doubt == ""


def test_where_the_localiser_is_wrong_the_whole_volume_is_searched() -> None:
    class Wrong(Coarse):
        def __call__(self, volume: Volume) -> NDArray[np.float32]:
            elsewhere = np.zeros_like(volume.data)
            elsewhere[:3, :3] = 1
            return elsewhere

    search, fine = _search(Wrong(0, 90))
    found = search(Volume(_cord(), np.eye(4)))
    np.testing.assert_array_equal(found.soft, _cord())
    assert found.why_whole == "the coarse pass found a cord, and the fine one none there"
    assert fine.asked[-1] == 1.0


def test_a_speck_that_the_localiser_did_not_see_is_no_cord() -> None:
    speck = np.zeros(SHAPE, np.float32)
    speck[10:18, 10:18, 40:48] = 1
    search, _ = _search(Coarse(200, 300))
    found = search(Volume(speck, np.eye(4)))
    assert not found.soft.any()
    assert "nothing as long as a cord" in found.why_whole


def test_a_volume_that_is_hardly_larger_than_the_cord_is_segmented_whole_and_that_is_no_doubt() -> None:
    search, fine = _search(Coarse(0, 90))
    found = search(Volume(_cord()[18:42, 18:46], np.eye(4)))
    assert (found.why_whole, found.share, fine.asked) == ("", 1.0, [1.0])


def test_a_coarser_volume_shows_the_same_view_and_the_same_mean() -> None:
    affine = np.array([[0.0, -0.8, 0, 5], [0.9, 0, 0, -3], [0, 0, 5.0, 2], [0, 0, 0, 1]])
    rng = np.random.default_rng(0)
    volume = Volume(rng.normal(size=(50, 60, 8)).astype(np.float32), affine)
    coarse = coarsened(volume, (2.5, 2.5, 2.5))
    assert coarse.data.shape == (18, 19, 8), "thick slices stay as they are"
    assert coarse.data.mean() == pytest.approx(volume.data.mean(), abs=1e-5)
    for corner in (-0.5, 1.0):  # the outer corners of the first and of the last voxel
        places = [
            v.affine[:3, :3] @ (np.array(v.data.shape) * (corner > 0) - 0.5) + v.affine[:3, 3] for v in (volume, coarse)
        ]
        np.testing.assert_allclose(places[0], places[1], atol=1e-6)
