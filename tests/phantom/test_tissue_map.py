"""A map of tissues gives the image that painting gives, for every contrast, and refuses a damaged file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.core.base.errors import DatasetError, SettingsError
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS, SIX
from stages.core.phantom.acquisition.grid import Grid
from stages.core.phantom.acquisition.tissue_map import DISTANCE_STEP_MM, SHARE_STEP, TEXTURE_STEP, TissueMap
from stages.core.phantom.acquisition.tissues import Tissue
from stages.core.phantom.anatomy.draw import draw_anatomy
from stages.core.phantom.anatomy.local import cord_distance, localise
from stages.core.phantom.rendering.scene import Canvas, Ramp, add_texture, paint, sample_texture, texture_fields

GRID = Grid.around((30.0, 32.0, 12.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def neck() -> TissueMap:
    """A small neck as shares of tissues."""
    an = draw_anatomy(np.random.default_rng(3))
    at = localise(an, *(p.astype(np.float32) for p in GRID.points()), steps=2)
    fine = sample_texture(texture_fields(an.texture_seed), at)
    canvas = Canvas.empty(at.u.size, len(Tissue))
    paint(canvas, an, at, dict(zip(Tissue, np.eye(len(Tissue), dtype=np.float32), strict=True)), Ramp(1, 1), fine)
    return TissueMap(
        np.rint(canvas.signal.T.reshape(-1, *GRID.shape) / SHARE_STEP).astype(np.uint8),
        np.rint(canvas.outside.reshape(GRID.shape) / SHARE_STEP).astype(np.uint8),
        np.rint(fine[1].reshape(GRID.shape) / TEXTURE_STEP).astype(np.int8),
        np.rint(np.clip(cord_distance(an, at), -1.27, 1.27).reshape(GRID.shape) / DISTANCE_STEP_MM).astype(np.int8),
    )


@pytest.mark.parametrize("contrast", SIX)
def test_every_contrast_of_the_map_is_what_painting_it_gives(neck: TissueMap, contrast: str) -> None:
    an = draw_anatomy(np.random.default_rng(3))
    at = localise(an, *(p.astype(np.float32) for p in GRID.points()), steps=2)
    fine = sample_texture(texture_fields(an.texture_seed), at)
    canvas, signals = Canvas.empty(at.u.size), PHANTOM_CONTRASTS[contrast].signals()
    paint(canvas, an, at, signals, Ramp(1, 1), fine)
    add_texture(canvas, fine[1])
    expected = canvas.signal.reshape(GRID.shape)
    # 13 shares are rounded to 1/255 each, and the texture to 0.05 SD of an amplitude of at most 0.3.
    assert np.abs(neck.signal(signals) - expected).max() < 0.03 * max(signals.values())
    assert np.corrcoef(neck.signal(signals).ravel(), expected.ravel())[0, 1] > 0.9999


def test_the_shares_of_a_voxel_sum_to_one(neck: TissueMap) -> None:
    assert np.abs(neck.shares.sum(axis=0, dtype=int) - 255).max() <= 6


def test_the_boundary_moves_inwards_by_what_is_asked(neck: TissueMap) -> None:
    """A ring of width d is missing."""
    areas = {d: neck.cord(d, 1.0).sum() / neck.shape[2] for d in (0.0, 0.2, 0.4)}
    radius = np.sqrt(areas[0.0] / np.pi)
    for d in (0.2, 0.4):
        ring = np.pi * (2 * radius * d - d * d)  # of a circle; that of an ellipse is up to 8 % larger
        assert 0.99 * ring < areas[0.0] - areas[d] < 1.12 * ring


@pytest.mark.parametrize(("inwards_mm", "voxel_mm"), [(0.0, 2.6), (-0.5, 2.0), (0.5, 2.0)])
def test_targets_that_the_stored_distances_cannot_give_are_refused(
    neck: TissueMap, inwards_mm: float, voxel_mm: float
) -> None:
    """Else every voxel of the background would be a quarter cord."""
    with pytest.raises(SettingsError, match=r"distances up to 1\.27 mm.* lower paint\.voxel_mm or train\.painted"):
        neck.cord(inwards_mm, voxel_mm)
    far = neck.cord(0.0, 2.5)[neck.distance == 127]
    assert far.max() == 0


def test_a_map_is_read_as_it_was_written(neck: TissueMap, tmp_path: Path) -> None:
    neck.write(tmp_path / "map.npz")
    read = TissueMap.read(tmp_path / "map.npz")
    for name in ("shares", "outside", "texture", "distance"):
        np.testing.assert_array_equal(getattr(read, name), getattr(neck, name))
    part = read.crop((2, 3, 4), (10, 11, 5))
    assert part.shape == (10, 11, 5)
    np.testing.assert_array_equal(part.shares, neck.shares[:, 2:12, 3:14, 4:9])


@pytest.mark.parametrize("damage", ["absent", "cut", "pickle", "shapes", "types"])
def test_a_damaged_map_is_refused(neck: TissueMap, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "map.npz"
    neck.write(path)
    arrays = {"shares": neck.shares, "outside": neck.outside, "texture": neck.texture, "distance": neck.distance}
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "pickle":
        np.savez(path, **{**arrays, "shares": np.array([{}], dtype=object)})
    elif damage == "shapes":
        np.savez(path, **{**arrays, "distance": neck.distance[1:]})
    else:
        np.savez(path, **{**arrays, "texture": neck.texture.astype(np.float32)})
    with pytest.raises(DatasetError, match=r"map\.npz.*dvc repro --force paint"):
        TissueMap.read(path)
