"""Which corrected masks are taken, refused, or to be confirmed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.core.annotation.acceptance.worklist import check_corrected
from stages.core.images.volumes import write

CORD = np.zeros((24, 20, 10), np.uint8)
CORD[8:14, 8:12, 1:9] = 1


def check(folder: Path, corrected: np.ndarray) -> list[str]:
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    for name, data in (("image", 100 + 50 * CORD.astype(np.float32)), ("draft", CORD), ("corrected", corrected)):
        write(folder / f"{name}.nii.gz", data, affine)
    return check_corrected(*(folder / f"{name}.nii.gz" for name in ("corrected", "image", "draft")))


def test_a_small_correction_is_taken(tmp_path: Path) -> None:
    corrected = CORD.copy()
    corrected[14, 9:11, 3:6] = 1
    assert check(tmp_path, corrected) == []


@pytest.mark.parametrize("shift", [(9, 0, 0), (-6, 6, 0)])
def test_a_mask_that_misses_the_cord_is_to_be_confirmed(tmp_path: Path, shift: tuple[int, int, int]) -> None:
    assert check(tmp_path, np.roll(CORD, shift, (0, 1, 2))) == [
        "has a Dice of 0.00 with the draft, so that one of the two misses the cord"
    ]


def test_a_mask_in_other_slices_is_to_be_confirmed(tmp_path: Path) -> None:
    """The areas of the slices that both hold say nothing then: there are none."""
    corrected = np.zeros_like(CORD)
    corrected[8:14, 8:12, [0, 9]] = 1
    doubts = check(tmp_path, corrected)
    assert "has a Dice of 0.00 with the draft, so that one of the two misses the cord" in doubts
