"""What `prepare` refuses to write for nnU-Net: an image in the place of a mask, and an empty mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.core.base.errors import ImageError
from stages.core.data.trainset.raw import RawImage, write_case
from stages.core.images.volumes import write


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(7.0, "is no mask: expected values from 0 to 1, found up to 7"), (0.3, "is empty: no voxel")],
)
def test_what_is_no_mask_is_not_trained_on(tmp_path: Path, value: float, sentence: str) -> None:
    write(tmp_path / "image.nii.gz", np.ones((4, 4, 4), np.float32), np.eye(4))
    write(tmp_path / "mask.nii.gz", np.full((4, 4, 4), value, np.float32), np.eye(4))
    with pytest.raises(ImageError, match=f"mask.nii.gz {sentence}"):
        write_case(tmp_path / "out", RawImage("case", tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz"))
    assert not (tmp_path / "out").exists()
