"""Voxels: digests, disc labels, pieces of masks and outliers."""

from __future__ import annotations

import gzip
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.data_factory import SHARED
from support.inspected import AFFINE, PARAMS, cord

from stages.core.base.errors import CordriftError
from stages.core.data.inspection import dataset as inspection
from stages.core.data.inspection.limits import faults_of_limits
from stages.core.data.inspection.voxels import faults_of_discs, faults_of_mask, voxel_digest
from stages.core.images.header import (
    faults_of_header,
    read_header,
)
from stages.core.images.volumes import Volume, read
from stages.core.measures.morphometry.levels import read_discs


@given(codes=st.sampled_from(["RAS", "LPI", "PSR", "AIL", "SLA"]), level=st.integers(0, 9))
def test_voxel_digest_does_not_depend_on_storage_order_and_compression(
    tmp_path_factory: pytest.TempPathFactory, codes: str, level: int
) -> None:
    folder = tmp_path_factory.mktemp("digest")
    data = np.random.default_rng(1).integers(0, 900, (5, 6, 7)).astype(np.int16)
    image = nib.Nifti1Image(data, AFFINE)
    there = nib.orientations.axcodes2ornt(codes)
    stored = image.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), there))
    (folder / "a.nii.gz").write_bytes(gzip.compress(image.to_bytes()))
    (folder / "b.nii.gz").write_bytes(gzip.compress(stored.to_bytes(), level))
    assert voxel_digest(read(folder / "a.nii.gz")) == voxel_digest(read(folder / "b.nii.gz"))
    data[0, 0, 0] += 1
    (folder / "c.nii.gz").write_bytes(gzip.compress(nib.Nifti1Image(data, AFFINE).to_bytes()))
    assert voxel_digest(read(folder / "a.nii.gz")) != voxel_digest(read(folder / "c.nii.gz"))


@given(labels=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(1, 27)), max_size=6))
def test_discs_are_refused_exactly_where_the_ruler_refuses_them(labels: list[tuple[int, int, int]]) -> None:
    data = np.zeros((5, 1, 8), np.float32)
    for x, z, number in labels:
        data[x, 0, z] = number
    volume = Volume(data, np.eye(4))
    try:
        read_discs(volume)
        refused = False
    except CordriftError:
        refused = True
    assert any(fault.severity == "error" for fault in faults_of_discs(volume)) == refused


def test_a_single_voxel_does_not_count_as_a_piece() -> None:
    mask = Volume((cord() >= 0.5).astype(np.float32), AFFINE)
    mask.data[1, 1, 1] = 1
    assert faults_of_mask(mask, PARAMS, soft=False) == []


@given(values=arrays(np.float64, st.integers(3, 30), elements=st.floats(1, 1000)), factor=st.floats(0.1, 10))
def test_outliers_do_not_depend_on_the_unit(values: np.ndarray[Any, Any], factor: float) -> None:
    np.testing.assert_allclose(inspection.robust_z(values * factor), inspection.robust_z(values), rtol=1e-6, atol=1e-6)


def test_few_masks_have_no_outliers() -> None:
    rows = [{"participant": str(n), "contrast": "T2w", "mask_volume_mm3": 100.0 + n} for n in range(7)]
    table = pd.DataFrame(rows, columns=list(inspection.COLUMNS)).assign(session="", image="x.nii.gz")
    table.loc[0, "mask_volume_mm3"] = 9000.0
    assert inspection.outliers(table, PARAMS) == []
    more = pd.concat([table, table.iloc[1:2]], ignore_index=True)
    assert [f.check for f in inspection.outliers(more, PARAMS)] == ["mask-volume"]


@pytest.mark.skipif(not (SHARED / "real-cord").is_dir(), reason="../shared/real-cord is not beside this checkout")
def test_real_images_have_no_error() -> None:
    for path in sorted((SHARED / "real-cord").rglob("*.nii.gz")):
        header, faults = read_header(path)
        assert header is not None
        faults += [*faults_of_header(header), *faults_of_limits(header, PARAMS)]
        assert [fault for fault in faults if fault.severity == "error"] == []
