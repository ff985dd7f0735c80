"""What the predictor computes near a region is what it computes of the whole volume."""

from __future__ import annotations

import numpy as np
import pytest

from stages.core.base.errors import ImageError
from stages.core.images.volumes import Volume
from stages.core.model.bundle.localiser import read_localiser
from stages.core.model.localisation.region import grown
from stages.core.model.segmentation import predictor as module
from stages.core.model.segmentation.predictor import Predictor
from stages.core.model.segmentation.settings import Segment
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS
from stages.core.phantom.acquisition.grid import Grid, Pose
from stages.core.phantom.acquisition.scanner import Scanner
from stages.core.phantom.anatomy.draw import draw_anatomy
from stages.core.phantom.rendering.images import render_image
from stages.core.phantom.rendering.render import cord_occupancy
from stages.core.workspace.bundles.named import find_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    settings = Segment(
        datasets=[], contrasts=[], shards=[0], step=0.5, mirror=False, threshold=0.5, largest_component=True,
        device="cpu", backend="openvino", threads=2,
    )  # fmt: skip
    return Predictor(find_bundle("starter"), settings)


def _neck(spacing_mm: tuple[float, float, float]) -> tuple[Volume, np.ndarray]:
    rng = np.random.default_rng(8)
    anatomy = draw_anatomy(rng)
    grid = Grid.around((90.0, 90.0, 76.0), spacing_mm, (0.0, 0.0, 0.0))
    image = render_image(anatomy, PHANTOM_CONTRASTS["T2w"], grid, Pose(), Scanner("phantom"), rng)
    return Volume(image.astype(np.float32), grid.affine), cord_occupancy(anatomy, grid, Pose()) >= 0.5


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.9, 5.0)])
def test_a_region_that_is_the_whole_volume_gives_the_same(
    predictor: Predictor, spacing_mm: tuple[float, float, float]
) -> None:
    volume, _ = _neck(spacing_mm)
    volume.data[:6], volume.data[:, -9:] = 0, 0  # nnU-Net leaves this out, also of mean and SD
    whole, near = predictor(volume), predictor.within(volume, np.ones(volume.data.shape, bool))
    assert np.abs(whole - near).max() <= 0.01
    assert whole.sum() > 0


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.9, 5.0)])
def test_near_the_cord_alone_its_area_hardly_changes(
    predictor: Predictor, spacing_mm: tuple[float, float, float]
) -> None:
    volume, cord = _neck(spacing_mm)
    region = grown(cord, volume.spacing_mm)
    whole, near = predictor(volume), predictor.within(volume, region)
    assert near.sum() == pytest.approx(whole[region].sum(), rel=0.01)


@pytest.mark.parametrize("slices", [1, 2])
def test_a_thin_slice_is_segmented_though_the_plan_has_thicker_ones(predictor: Predictor, slices: int) -> None:
    volume, cord = _neck((1.0, 1.0, 0.3))
    thin = Volume(np.ascontiguousarray(volume.data[:, :, 100 : 100 + slices]), volume.affine)
    localiser = Predictor(read_localiser(), predictor.settings)
    for one in (predictor, localiser):
        assert one(thin).shape == thin.data.shape
    near = grown(cord[:, :, 100 : 100 + slices], volume.spacing_mm)
    assert predictor.within(thin, near).shape == thin.data.shape


def test_no_region_and_no_intensity_is_no_cord(predictor: Predictor) -> None:
    volume, cord = _neck((1.0, 1.0, 1.0))
    assert not predictor.within(volume, np.zeros_like(cord)).any()
    assert not predictor.within(Volume(np.zeros_like(volume.data), volume.affine), cord).any()


def test_memory_is_bounded_by_the_box_and_not_by_the_volume(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, cord = _neck((1.0, 1.0, 1.0))
    corner = np.zeros_like(cord)
    corner[:4, :4, :4] = True
    monkeypatch.setattr(module, "MOST_VOXELS", 300_000)
    with pytest.raises(ImageError, match="more than 3e"):
        predictor(volume)
    predictor.within(volume, corner)  # a box of 36 x 36 x 36 voxels
    with pytest.raises(ImageError, match="more than 3e"):
        predictor.within(volume, cord)
