"""Reading and writing volumes: canonical axes, the same bytes, and an error that names every bad file."""

from __future__ import annotations

import math
import os
import struct
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.base.errors import CordriftError, DatasetError, ImageError
from stages.core.base.files import read_csv, read_json, whole_file, whole_folder, write_json
from stages.core.data.datasets.manifest import read_manifest
from stages.core.images import volumes

ORDERS = ["RAS", "LAS", "PSR", "LPI", "ASL", "IRP"]


def _store(path: Path, data: np.ndarray, order: str) -> None:
    """Write canonical data in another storage order."""
    back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(order))
    image = nib.Nifti1Image(data, np.diag([0.5, 1.0, 2.0, 1.0])).as_reoriented(back)
    nib.save(image, path)


@pytest.mark.parametrize("order", ORDERS)
def test_reading_is_canonical_and_writing_goes_back_to_the_storage_order(tmp_path: Path, order: str) -> None:
    data = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    _store(tmp_path / "a.nii.gz", data, order)
    volume = volumes.read(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.data, data)
    assert volume.spacing_mm == pytest.approx((0.5, 1.0, 2.0))
    volumes.write_like(tmp_path / "b.nii.gz", volume.data, tmp_path / "a.nii.gz")
    stored, source = nib.load(tmp_path / "b.nii.gz"), nib.load(tmp_path / "a.nii.gz")
    assert nib.aff2axcodes(stored.affine) == tuple(order)
    assert np.array_equal(np.asarray(stored.dataobj), np.asarray(source.dataobj))
    assert np.allclose(stored.affine, source.affine)


def test_the_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((4, 5, 6), dtype=np.float32)
    for name in ("a.nii.gz", "b.nii.gz"):
        volumes.write(tmp_path / name, data, np.eye(4))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def _bad(path: Path, kind: str) -> None:
    data = np.ones((4, 4, 4), np.float32)
    if kind == "nan":
        data[1, 2, 3] = np.nan
    if kind == "4-D":
        data = np.stack([data, data], axis=-1)
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    if kind == "text":
        path.write_text("not an image")
    if kind == "pointer":
        path.write_text("/annex/objects/SHA256E-s8880618--c078.nii.gz\n")
    if kind == "link":
        path.unlink()
        path.symlink_to(path.parent / "absent")
    if kind == "absent":
        path.unlink()


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("nan", r"holds 1 values that are NaN or infinite \(of 64\)"),
        ("4-D", r"has shape 4 x 4 x 4 x 2; expected three dimensions"),
        ("truncated", r"is truncated or damaged|cannot be read"),
        ("text", r"cannot be read as an image"),
        ("pointer", r"is a git-annex pointer file, not an image.*`datalad get a.nii.gz`"),
        ("link", r"is a link to content that was not fetched; run `datalad get a.nii.gz`"),
        ("absent", r"does not exist"),
    ],
)
def test_a_bad_file_gives_an_error_that_names_it(tmp_path: Path, kind: str, sentence: str) -> None:
    path = tmp_path / "a.nii.gz"
    _bad(path, kind)
    with pytest.raises(ImageError, match=sentence) as caught:
        volumes.read(path)
    assert str(path) in str(caught.value)


def _mgh(path: Path, shape: tuple[int, ...] = (4, 4, 4), affine: np.ndarray | None = None) -> Path:
    nib.save(nib.MGHImage(np.ones(shape, np.float32), np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("garbage.mgh", "cannot be read as an image"),
        ("surface.gii", "must be a volume, not GiftiImage"),
        ("series.mgh", r"must be 3-D, not 4-D \(shape \(4, 4, 4, 2\)\)"),
        ("complex.img", "holds complex64 values; expected one real number per voxel"),
        ("cut.mgh", "is truncated or damaged"),
        ("nan.mgh", r"an affine that describes no grid \("),
        ("plane.img", r"an affine that describes no grid \("),
        ("tilted.mgh", r"an affine that describes no grid \(its axes lie in a plane\)"),
        ("folder.nii.gz", "is a folder; expected a file such as mask.nii.gz"),
    ],
)
def test_a_bad_file_of_another_format_gives_an_error_that_names_it(tmp_path: Path, name: str, sentence: str) -> None:
    """Their headers are read by nibabel alone."""
    path = tmp_path / name
    if name == "garbage.mgh":
        path.write_bytes(b"no image at all")
    elif name == "surface.gii":
        nib.save(nib.gifti.GiftiImage(), path)
    elif name == "series.mgh":
        _mgh(path, (4, 4, 4, 2))
    elif name == "complex.img":
        nib.save(nib.Nifti1Pair(np.ones((4, 4, 4), np.complex64), np.eye(4)), path)
    elif name == "cut.mgh":
        path.write_bytes(_mgh(path).read_bytes()[:400])
    elif name == "nan.mgh":
        _mgh(path, affine=np.diag([np.nan, 1, 1, 1]))
    elif name == "tilted.mgh":  # almost in one plane: nibabel accepts this
        _mgh(path, affine=np.array([[1, 0, -1, 0], [-1, 1, 0, 0], [0, -1, 1.0001, 0], [0, 0, 0, 1]]))
    elif name == "plane.img":
        flat = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]], float)
        image = nib.Nifti1Pair(np.ones((4, 4, 4), np.float32), None)
        image.header.set_sform(flat, 1)
        nib.save(nib.Nifti1Pair(np.ones((4, 4, 4), np.float32), None, image.header), path)
    else:
        path.mkdir()
    with pytest.raises(ImageError, match=sentence) as caught:
        volumes.read(path)
    assert str(path) in str(caught.value)


def test_an_array_of_another_shape_is_not_written_on_a_grid(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(ImageError, match=r"an array of shape \(4, 5, 7\) cannot be written on the grid of .*a.nii.gz"):
        volumes.write_like(tmp_path / "b.nii.gz", np.ones((4, 5, 7), np.uint8), tmp_path / "a.nii.gz")
    assert not (tmp_path / "b.nii.gz").exists()


@pytest.mark.parametrize(
    ("offset", "raw", "sentence"),
    [
        pytest.param(70, struct.pack("<h", 9999), "cannot be read as an image: data code 9999", id="data type"),
        pytest.param(40, struct.pack("<4h", 3, -4, 4, 4), "expected three dimensions", id="negative size"),
        pytest.param(
            40, struct.pack("<4h", 3, *[30000] * 3), "has a header that claims 108,000.0 GB", id="size beyond memory"
        ),
        pytest.param(
            280,
            bytes(48),
            "has an affine with NaN or infinite numbers, or one that cannot be inverted",
            id="affine of zeros",
        ),
        pytest.param(
            280, struct.pack("<f", math.nan), "has an affine with NaN or infinite numbers", id="affine with NaN"
        ),
        pytest.param(
            280, struct.pack("<8f", 1, 1, 0, 0, 1, 1, 0, 0), "or one that cannot be inverted", id="flat affine"
        ),
        pytest.param(108, struct.pack("<f", math.nan), "cannot be read as an image", id="offset of the voxels"),
    ],
)
def test_a_damaged_header_gives_an_error_that_names_the_file(
    tmp_path: Path, offset: int, raw: bytes, sentence: str
) -> None:
    whole = bytearray(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)).to_bytes())
    whole[offset : offset + len(raw)] = raw
    (tmp_path / "a.nii").write_bytes(whole)
    with pytest.raises(ImageError, match=sentence) as caught:
        volumes.read(tmp_path / "a.nii")
    assert str(tmp_path / "a.nii") in str(caught.value)


@given(shift=st.floats(-0.5, 0.5), grow=st.integers(0, 1))
@settings(max_examples=25)
def test_grids_differ_when_a_corner_moves_by_more_than_a_tenth_of_a_voxel(shift: float, grow: int) -> None:
    affine = np.eye(4)
    affine[0, 3] = shift
    a = volumes.Volume(np.zeros((3, 3, 3), np.float32), np.eye(4))
    b = volumes.Volume(np.zeros((3, 3, 3 + grow), np.float32), affine)
    assert bool(volumes.grid_difference(a, b)) == (grow == 1 or abs(shift) > 0.1)


def test_a_mask_on_another_grid_gives_an_error_that_names_both(tmp_path: Path) -> None:
    volumes.write(tmp_path / "image.nii.gz", np.ones((4, 4, 4), np.float32), np.eye(4))
    volumes.write(tmp_path / "mask.nii.gz", np.ones((4, 4, 5), np.float32), np.eye(4))
    image = volumes.read(tmp_path / "image.nii.gz")
    with pytest.raises(ImageError, match=r"mask.nii.gz and .*image.nii.gz must lie on one grid, but shapes"):
        volumes.read_on_grid(tmp_path / "mask.nii.gz", image, tmp_path / "image.nii.gz")


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/kept.txt").write_text("old")
    with suppress(KeyboardInterrupt), whole_file(tmp_path / "kept.txt") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    with suppress(KeyboardInterrupt), whole_folder(tmp_path / "folder") as part:
        (part / "kept.txt").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "kept.txt").read_text() == "old"
    assert (tmp_path / "folder/kept.txt").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["folder", "kept.txt"]  # noqa: PTH208


def test_a_newer_schema_is_refused_and_an_undefined_number_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"schema": 99}')
    with pytest.raises(CordriftError, match="has schema 99, this cordrift reads up to 1"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.csv").write_text("schema,x\n99,1\n")
    with pytest.raises(CordriftError, match="has schema 99"):
        read_csv(tmp_path / "a.csv")
    (tmp_path / "b.json").write_text("[1]")
    with pytest.raises(CordriftError, match="must hold a JSON object"):
        read_json(tmp_path / "b.json")
    (tmp_path / "empty.json").write_text('{"schema": 1}')
    for name in ("a.json", "b.json", "empty.json", "absent.json"):
        with pytest.raises(DatasetError):
            read_manifest(tmp_path / name)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "c.json", {"x": float("nan")})
    assert not (tmp_path / "c.json").exists()
