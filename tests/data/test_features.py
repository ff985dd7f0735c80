"""Features of images of which the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skimage.feature import graycomatrix, graycoprops

from stages.core.base.errors import DatasetError
from stages.core.base.files import write_csv
from stages.core.data.datasets.image_features import FEATURE_COLUMNS, IMAGE_FEATURES, read_features
from stages.core.data.datasets.manifest import Manifest, Participant
from stages.core.data.inspection.features import LEVELS, contrast_to_noise, image_features
from stages.core.images.volumes import Volume


def _disc(radius_mm: float = 5.0, spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)) -> np.ndarray:
    x, y = (np.arange(n) * s - n * s / 2 for n, s in zip((40, 36), spacing[:2], strict=True))
    flat = x[:, None] ** 2 + y[None, :] ** 2 <= radius_mm**2
    return np.repeat(flat[:, :, None], 6, axis=2)


def _volume(data: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)) -> Volume:
    return Volume(data.astype(np.float32), np.diag([*spacing, 1.0]))


def test_the_grid_is_told_in_mm() -> None:
    found = image_features(_volume(np.random.default_rng(1).normal(size=(40, 36, 6))), None)
    assert [found[f"spacing_{axis}_mm"] for axis in "xyz"] == [1, 1, 3]
    assert [found[f"extent_{axis}_mm"] for axis in "xyz"] == [40, 36, 18]
    assert set(found) == set(IMAGE_FEATURES)
    assert np.isnan(found["cord_mean"]), "without a mask nothing is known of the cord"


def test_intensities_do_not_depend_on_the_scale_of_the_scanner() -> None:
    data, cord = np.random.default_rng(1).normal(size=(40, 36, 6)), _disc()
    one, other = (image_features(_volume(values), cord) for values in (data, 40 * data + 1000))
    assert one == pytest.approx(other, abs=2e-3)


def test_contrast_to_noise_is_the_difference_over_the_noise() -> None:
    rng, cord = np.random.default_rng(2), _disc()
    image = np.where(cord, 300.0, 100.0) + rng.normal(0, 20, cord.shape)
    assert contrast_to_noise(_volume(image), cord) == pytest.approx(10, rel=0.1)
    assert image_features(_volume(image), cord)["border_contrast"] == pytest.approx(10, rel=0.1)
    flat = np.where(cord, 300.0, 100.0)
    assert np.isnan(contrast_to_noise(_volume(flat), cord)), "without noise it is not defined"


def test_the_ring_lies_one_to_four_millimetres_off_whatever_the_voxels() -> None:
    for spacing in ((1.0, 1.0, 3.0), (0.5, 0.5, 5.0)):
        cord = _disc(4.0, spacing)
        wide = _disc(8.0, spacing) & ~_disc(4.99, spacing)
        image = np.where(cord, 5.0, np.where(wide, 2.0, 9.0)) + np.random.default_rng(3).normal(0, 0.01, cord.shape)
        found = image_features(_volume(image, spacing), cord)
        inside = (image[wide].mean() - image.mean()) / image.std()
        assert found["ring_mean"] == pytest.approx(inside, abs=0.15)


def test_texture_is_that_of_skimage_where_the_region_is_a_whole_rectangle() -> None:
    rng = np.random.default_rng(4)
    image = rng.normal(size=(30, 30, 2)) * 3
    box = np.zeros(image.shape, bool)
    box[8:20, 9:22] = True
    found = image_features(_volume(image), box)
    low, high = np.percentile(image[box], [1, 99])
    levels = np.minimum((np.clip((image - low) / (high - low), 0, 1) * LEVELS).astype(np.uint8), LEVELS - 1)
    counts = sum(
        graycomatrix(levels[8:20, 9:22, k], [1], [0, np.pi / 2], levels=LEVELS, symmetric=True).astype(float)
        for k in range(2)
    ).sum(axis=3, keepdims=True)
    for name in ("contrast", "homogeneity", "correlation"):
        expected = graycoprops(counts / counts.sum(), name)[0, 0]
        assert found[f"cord_glcm_{name}"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("data", [np.zeros((9, 9, 3)), np.full((9, 9, 3), 7.0)])
def test_a_constant_image_has_a_grid_and_no_intensities(data: np.ndarray) -> None:
    mask = np.zeros(data.shape, bool)
    mask[4, 4, 1] = True
    found = image_features(_volume(data), mask)
    assert found["extent_x_mm"] == 9
    assert all(np.isnan(value) for name, value in found.items() if "_mm" not in name)


def test_a_mask_of_one_voxel_at_the_corner_gives_no_error() -> None:
    mask = np.zeros((9, 9, 3), bool)
    mask[0, 0, 0] = True
    found = image_features(_volume(np.random.default_rng(1).normal(size=mask.shape)), mask)
    assert np.isnan(found["border_contrast"])
    assert np.isnan(found["cord_glcm_contrast"])
    assert np.isfinite(found["ring_mean"])


def test_features_are_read_with_their_people_and_without_images_in_error(tmp_path: Path) -> None:
    names = ["sub-1", "sub-2", "sub-3"]
    cases = pd.DataFrame({"participant": names, "session": "", "contrast": "T2w"})
    folder = tmp_path / "lab"
    with pytest.raises(DatasetError, match=r"features.csv is missing; run `dvc repro check@lab`"):
        read_features(tmp_path, [_manifest()])
    write_csv(folder / "volumes.csv", cases.assign(errors=[0, 1, 0]))
    numbers = dict.fromkeys(FEATURE_COLUMNS[3:], 1.0)
    write_csv(folder / "features.csv", cases.assign(**numbers)[list(FEATURE_COLUMNS)])
    table = read_features(tmp_path, [_manifest()])
    assert table["participant"].tolist() == ["sub-1", "sub-3"], "voxels in metres are an error, and no shift"
    assert table["manufacturer"].tolist() == ["GE", ""]
    assert table["age_years"].tolist() == pytest.approx([44.0, np.nan], nan_ok=True)


def _manifest() -> Manifest:
    person = {"participant": "sub-1", "site": "", "manufacturer": "GE", "sex": "F", "age": "44", "pathology": ""}
    value = {"dataset": "lab", "url": "u", "tag": "r1", "commit": "c" * 40, "role": "train", "licence": "CC0-1.0"}
    return Manifest(**value, files=[], cases=[], excluded=[], participants=[Participant(**person)])
