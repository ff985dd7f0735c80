"""Adopting a plain folder: nothing is lost unseen, and a dataset is registered instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cases import make_image

from stages.core.base.errors import DatasetError
from stages.core.data.clones import annex
from stages.core.data.clones.adoption import adopt


def test_adopting_a_dataset_or_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "bids"
    (plain / "sub-01/anat").mkdir(parents=True)
    make_image(plain / "sub-01/anat/sub-01_T2w.nii.gz")
    link = plain / "sub-01/anat/sub-01_T1w.nii.gz"
    link.symlink_to("/mnt/old/sub-01_T1w.nii.gz")
    with pytest.raises(DatasetError, match=r"sub-01_T1w.nii.gz is a link to /mnt/old/.*, which is not there"):
        adopt(plain, tmp_path / "out", "r1")
    link.unlink()
    annex.create(plain)
    with pytest.raises(DatasetError, match=r"bids is a dataset already .*; register it by its address"):
        adopt(plain, tmp_path / "out", "r1")
    assert not (tmp_path / "out").exists()
