"""What the predictor computes near a region is what it computes of the whole volume."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from support.bundles import LESIONS, make_bundle

from stages.core.base.errors import ImageError
from stages.core.images.volumes import Volume
from stages.core.model.bundle.content import Bundle, read_bundle
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


def _within(predictor: Predictor, volume: Volume, near: NDArray[np.bool_]) -> NDArray[np.float32]:
    return predictor.each_within(volume, near)[0]


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
    whole, near = predictor(volume), _within(predictor, volume, np.ones(volume.data.shape, bool))
    assert np.abs(whole - near).max() <= 0.01
    assert whole.sum() > 0


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.9, 5.0)])
def test_near_the_cord_alone_its_area_hardly_changes(
    predictor: Predictor, spacing_mm: tuple[float, float, float]
) -> None:
    volume, cord = _neck(spacing_mm)
    region = grown(cord, volume.spacing_mm)
    whole, near = predictor(volume), _within(predictor, volume, region)
    assert near.sum() == pytest.approx(whole[region].sum(), rel=0.01)


@pytest.mark.parametrize("slices", [1, 2])
def test_a_thin_slice_is_segmented_though_the_plan_has_thicker_ones(predictor: Predictor, slices: int) -> None:
    volume, cord = _neck((1.0, 1.0, 0.3))
    thin = Volume(np.ascontiguousarray(volume.data[:, :, 100 : 100 + slices]), volume.affine)
    localiser = Predictor(read_localiser(), predictor.settings)
    for one in (predictor, localiser):
        assert one(thin).shape == thin.data.shape
    near = grown(cord[:, :, 100 : 100 + slices], volume.spacing_mm)
    assert _within(predictor, thin, near).shape == thin.data.shape


def test_no_region_and_no_intensity_is_no_cord(predictor: Predictor) -> None:
    volume, cord = _neck((1.0, 1.0, 1.0))
    assert not _within(predictor, volume, np.zeros_like(cord)).any()
    assert not _within(predictor, Volume(np.zeros_like(volume.data), volume.affine), cord).any()


def test_memory_is_bounded_by_the_box_and_not_by_the_volume(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, cord = _neck((1.0, 1.0, 1.0))
    corner = np.zeros_like(cord)
    corner[:4, :4, :4] = True
    monkeypatch.setattr(module, "MOST_VOXELS", 300_000)
    with pytest.raises(ImageError, match="more than 3e"):
        predictor(volume)
    _within(predictor, volume, corner)  # a box of 36 x 36 x 36 voxels
    with pytest.raises(ImageError, match="more than 3e"):
        _within(predictor, volume, cord)


@pytest.fixture(scope="module")
def with_lesions(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model of two regions, with random weights."""
    folder = tmp_path_factory.mktemp("lesions")
    return read_bundle(make_bundle(folder / "bundle", folder / "scratch", labels=LESIONS))


def _settings(backend: str, *, largest_component: bool) -> Segment:
    return Segment.model_validate(
        {
            "datasets": [], "contrasts": [], "shards": [0], "step": 0.5, "mirror": True, "threshold": 0.5,
            "largest_component": largest_component, "device": "cpu", "backend": backend, "threads": 1,
        }
    )  # fmt: skip


def _noise() -> Volume:
    rng = np.random.default_rng(4)
    data = rng.normal(100, 20, (20, 24, 28)).astype(np.float32)
    data[:3] = 0  # nnU-Net leaves this out
    return Volume(data, np.diag([1.0, 1.2, 0.9, 1.0]))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_each_region_has_the_probabilities_of_nnunets_own_predictor(with_lesions: Bundle, backend: str) -> None:
    volume = _noise()
    ours = Predictor(with_lesions, _settings(backend, largest_component=False))
    reference = Predictor(with_lesions, _settings("torch", largest_component=False)).predictor
    x, y, z = volume.spacing_mm
    _, theirs = reference.predict_single_npy_array(
        volume.data.transpose(2, 1, 0)[None], {"spacing": [z, y, x]}, save_or_return_probabilities=True
    )
    found = ours.each(volume)
    assert ours.regions == ("cord", "lesion")
    np.testing.assert_allclose(found, theirs.transpose(0, 3, 2, 1), atol=0.0025)
    assert np.ptp(found[0]) > 0.1
    assert np.abs(found[0] - found[1]).max() > 0.1
    np.testing.assert_array_equal(ours(volume), found[0])


def test_near_everything_each_region_is_the_same(with_lesions: Bundle) -> None:
    volume = _noise()
    ours = Predictor(with_lesions, _settings("torch", largest_component=False))
    everywhere = np.ones(volume.data.shape, bool)
    np.testing.assert_allclose(ours.each_within(volume, everywhere), ours.each(volume), atol=0.02)
    assert not ours.each_within(volume, ~everywhere).any()


def _blobs(alone: bool) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Logits with a large and a small cord, each with a lesion where there are two regions; and the large one."""
    cord = np.full((12, 12, 24), -3, np.float32)
    cord[3:9, 3:9, 2:12], cord[4:6, 4:6, 18:22] = 3, 3
    lesion = np.full_like(cord, -3)
    lesion[5, 5, 5], lesion[5, 5, 20] = 4, 4
    large = np.zeros(cord.shape, bool)
    large[3:9, 3:9, 2:12] = True
    return np.stack([-cord, cord] if alone else [cord, lesion]), large


@pytest.mark.parametrize("alone", [True, False])
def test_with_the_largest_component_of_the_cord_stay_the_lesions_in_it_alone(alone: bool) -> None:
    logits, large = _blobs(alone)
    kept = module._keep_largest(logits, alone=alone)
    cord = (kept[1] > kept[0]) if alone else kept[0] > 0
    np.testing.assert_array_equal(cord, large)
    np.testing.assert_array_equal(kept[:, large], logits[:, large])
    far = kept[:, 4:6, 4:6, 18:22]
    if alone:
        assert (far[0] == module.CERTAIN).all()
        assert (far[1] == -module.CERTAIN).all()
    else:
        assert (kept[1] > 0).sum() == 1
        assert (expit(far) < 1e-6).all()
