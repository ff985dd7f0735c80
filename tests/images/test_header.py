"""Headers: whatever bytes a header holds, it is judged, and no more is read than it claims."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from support.inspected import AFFINE, PARAMS, SHAPE

from stages.core.base.errors import CordriftError
from stages.core.data.inspection.limits import faults_of_limits
from stages.core.images.header import (
    LARGEST_BYTES,
    Header,
    corner_shift_mm,
    faults_of_grid,
    faults_of_header,
    grid_tolerance_mm,
    read_header,
)
from stages.core.images.volumes import read


def header_of(shape: tuple[int, ...], affine: np.ndarray[Any, Any]) -> Header:
    """A header of that grid which does not contradict itself."""
    sides = tuple(float(side) for side in np.linalg.norm(affine[:3, :3], axis=0))
    return Header(shape, affine, None, affine, sides, 2)


@settings(max_examples=300)
@example(edits=[(287, 76)])  # sheared beyond measure, and a grid all the same
@given(edits=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=5))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_header_breaks_the_check(tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]]) -> None:
    """Whatever bytes a header holds: it is judged, and what it lets pass can be read."""
    path = tmp_path_factory.mktemp("bytes") / "x.nii"
    image = nib.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.diag([1, 1, 2, 1.0]))
    image.set_qform(image.affine, code=1)
    raw = bytearray(image.to_bytes())
    for place, value in edits:
        raw[place] = value
    path.write_bytes(raw)
    header, faults = read_header(path)
    if header is None:
        assert [fault.severity for fault in faults] == ["error"]
        return
    faults_of_header(header)
    faults_of_limits(header, PARAMS)
    assert len(header.orientation) == 3
    try:
        values = read(path).data.size
    except CordriftError as reason:
        values = int(np.prod(header.shape)) if "NaN or infinite" in str(reason) else 0
    assert values == np.prod(header.shape)


def test_a_header_extension_that_could_claim_the_following_bytes_is_refused(tmp_path: Path) -> None:
    """nibabel would read an extension as long as it says, a gigabyte of zeros included."""
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"hello"))
    path = tmp_path / "x.nii.gz"
    path.write_bytes(gzip.compress(image.to_bytes()))
    assert read_header(path)[1] == []
    path.write_bytes(gzip.compress(image.to_bytes() + bytes(1 << 20)))
    assert [fault.check for fault in read_header(path)[1]] == ["header-claim"]


def test_a_volume_that_fits_on_the_disk_but_not_in_memory_is_refused(tmp_path: Path) -> None:
    """A byte a voxel, and all zero: a few megabytes on disk that become four bytes a voxel once they are read."""
    side = round((LARGEST_BYTES / 4) ** (1 / 3)) + 2
    raw = nib.Nifti1Header()
    raw.set_data_dtype(np.uint8)
    raw.set_data_shape((side, side, side))
    raw["vox_offset"] = 352
    path = tmp_path / "x.nii"
    path.write_bytes(raw.binaryblock + bytes(4))
    with path.open("r+b") as stream:
        stream.truncate(352 + side**3)  # sparse: takes no space
    assert side**3 < LARGEST_BYTES
    assert [(header, fault.check) for header, (fault,) in [read_header(path)]] == [(None, "header-claim")]


@given(short=st.integers(-3, 3))
def test_header_claim_is_exact(tmp_path_factory: pytest.TempPathFactory, short: int) -> None:
    path = tmp_path_factory.mktemp("claim") / "x.nii.gz"
    raw = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)).to_bytes()
    path.write_bytes(gzip.compress(raw[: len(raw) - short] if short >= 0 else raw + b"\0" * -short))
    header, faults = read_header(path)
    assert ((header is None), [fault.check for fault in faults]) == (
        (True, ["header-claim"]) if short > 0 else (False, [])
    )


def test_no_more_is_unpacked_than_the_header_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small header before a gigabyte of zeros is read no further than its own voxels."""
    raw = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)).to_bytes()
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(raw + bytes(64 << 20)))
    unpacked: list[int] = []
    real = gzip.GzipFile.read

    def count(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        block = real(self, size)
        unpacked.append(len(block))
        return block

    monkeypatch.setattr(gzip.GzipFile, "read", count)
    header, faults = read_header(bomb)
    assert header is not None
    assert faults == []
    assert sum(unpacked) < 100_000
    huge = nib.Nifti1Header()
    huge.set_data_shape((32767, 32767, 32767))
    bomb.write_bytes(gzip.compress(huge.binaryblock + bytes(1 << 20)))
    unpacked.clear()
    header, (fault,) = read_header(bomb)
    assert (header, fault.check) == (None, "header-claim")
    assert fault.value > LARGEST_BYTES
    assert sum(unpacked) < 100_000


turns = st.tuples(*[st.floats(-180, 180)] * 3)
sizes = st.tuples(*[st.floats(0.3, 6)] * 3)


@given(angles=turns, spacing=sizes, order=st.permutations([0, 1, 2]), flips=st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_no_rigid_grid_is_sheared(angles: Any, spacing: Any, order: list[int], flips: Any) -> None:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(flips)[:, order] @ np.diag(spacing)
    header = header_of((10, 12, 14), affine)
    assert faults_of_header(header) == []
    bent = affine @ np.array([[1, 0.01, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    bent[:3, :3] *= np.array(spacing) / np.linalg.norm(bent[:3, :3], axis=0)
    faults = {fault.check for fault in faults_of_header(header_of((10, 12, 14), bent))}
    lean = 0.01 * spacing[0] / np.hypot(spacing[1], 0.01 * spacing[0])  # the cosine that this shear puts in
    assert ("sheared" in faults) == (lean > 1e-3) or abs(lean - 1e-3) < 1e-5


@given(angle=st.floats(0, 44), axis=st.sampled_from("xyz"), spacing=sizes)
def test_obliqueness_is_the_angle_of_the_rotation(angle: float, axis: str, spacing: Any) -> None:
    assume(abs(angle - PARAMS.oblique_deg) > 1e-6)  # at the limit itself, rounding decides
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler(axis, angle, degrees=True).as_matrix() @ np.diag(spacing)
    header = header_of((9, 9, 9), affine)
    assert header.obliqueness_deg == pytest.approx(angle, abs=1e-4)
    assert [f.check for f in faults_of_limits(header, PARAMS)] == (["oblique"] if angle > PARAMS.oblique_deg else [])


@given(shift=arrays(np.float64, 3, elements=st.floats(-2, 2)))
def test_grids_are_compared_the_same_both_ways(shift: np.ndarray[Any, Any]) -> None:
    tolerance = grid_tolerance_mm(AFFINE, SHAPE)
    assume(abs(np.linalg.norm(shift) - tolerance) > 1e-9)  # there the rounding of the sum decides
    moved = AFFINE.copy()
    moved[:3, 3] += shift
    a, b = header_of(SHAPE, AFFINE), header_of(SHAPE, moved)
    assert corner_shift_mm(AFFINE, moved, SHAPE) == pytest.approx(float(np.linalg.norm(shift)))
    assert [f.check for f in faults_of_grid(a, b)] == [f.check for f in faults_of_grid(b, a)]
    assert bool(faults_of_grid(a, b)) == bool(np.linalg.norm(shift) > tolerance)
