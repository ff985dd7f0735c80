"""Tiles that follow a cord cover all of it, lie inside the image, and are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.model.segmentation.tiles import Mask, box_of, following_tiles, on_grid_of

PATCH = (16, 12, 12)


def _covered(shape: tuple[int, ...], tiles: list[tuple[int, int, int]]) -> Mask:
    out = np.zeros(shape, bool)
    for z, y, x in tiles:
        assert 0 <= z <= shape[0] - PATCH[0]
        assert 0 <= y <= shape[1] - PATCH[1]
        assert 0 <= x <= shape[2] - PATCH[2]
        out[z : z + PATCH[0], y : y + PATCH[1], x : x + PATCH[2]] = True
    return out


@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(16, 60), st.integers(12, 40), st.integers(12, 40)),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    st.integers(1, 6),
)
@settings(max_examples=80, deadline=None)
def test_every_voxel_of_any_region_is_in_a_tile(
    seed: int, shape: tuple[int, int, int], step: float, blobs: int
) -> None:
    rng = np.random.default_rng(seed)
    near = np.zeros(shape, bool)
    for _ in range(blobs):
        low = [int(rng.integers(0, n)) for n in shape]
        near[tuple(slice(a, a + int(rng.integers(1, 30))) for a in low)] = True
    assert not (near & ~_covered(shape, following_tiles(near, PATCH, step))).any()


def test_a_cord_lies_in_the_middle_of_its_tiles_and_no_tile_is_elsewhere() -> None:
    near = np.zeros((64, 100, 100), bool)
    for z in range(64):
        near[z, 30 + z // 2 - 2 : 30 + z // 2 + 3, 58:63] = True
    tiles = following_tiles(near, PATCH, 0.5)
    assert len(tiles) == 7  # 64 voxels in tiles of 16 that are 8 apart
    for z, y, x in tiles:
        middle = 30 + (z + 7.5) / 2
        assert abs(y + 5.5 - middle) <= 1
        assert abs(x + 5.5 - 60) <= 1


def test_no_region_is_no_tile() -> None:
    assert following_tiles(np.zeros((20, 20, 20), bool), PATCH, 0.5) == []


def test_a_box_holds_the_region_with_its_margin_where_there_is_room() -> None:
    near = np.zeros((10, 20, 30), bool)
    near[2:4, 18:20, 10] = True
    assert box_of(near, (0, 0, 0)) == (slice(2, 4), slice(18, 20), slice(10, 11))
    assert box_of(near, (3, 4, 5)) == (slice(0, 7), slice(14, 20), slice(5, 16))


@pytest.mark.parametrize("shape", [(20, 12, 7), (5, 3, 2), (10, 6, 4)])
def test_a_mask_on_another_grid_covers_the_same_part_of_the_view(shape: tuple[int, int, int]) -> None:
    mask = np.zeros((10, 6, 4), bool)
    mask[4:8, 2:4, 1:3] = True
    other = on_grid_of(mask, shape)
    assert other.shape == shape
    assert other.mean() == pytest.approx(mask.mean(), abs=0.05)
    middle = [(np.argwhere(m).mean(axis=0) + 0.5) / m.shape for m in (mask, other)]
    np.testing.assert_allclose(middle[0], middle[1], atol=0.26)  # half a voxel of the coarsest grid
