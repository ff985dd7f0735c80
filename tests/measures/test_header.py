"""Headers of masks of one's own that say something against themselves."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from stages import measure_files
from stages.core.base.errors import ImageError
from stages.core.measures.own_masks.header import forms_apart, require_mm


def mask(path: Path, unit: str = "mm", moved_mm: float = 0.0) -> Path:
    data = np.zeros((12, 12, 6), np.uint8)
    data[2:10, 2:10] = 1
    image = nib.Nifti1Image(data, np.eye(4))
    image.header.set_xyzt_units(unit)
    qform = np.eye(4)
    qform[0, 3] = moved_mm
    image.set_qform(qform, code=1)
    image.set_sform(np.eye(4), code=1)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_other_lengths_are_refused(tmp_path: Path, unit: str) -> None:
    with pytest.raises(ImageError, match=rf"lengths are in {unit}s; expected mm"):
        require_mm(mask(tmp_path / "mask.nii.gz", unit))


@pytest.mark.parametrize("unit", ["mm", "unknown"])
def test_mm_and_no_unit_are_mm(tmp_path: Path, unit: str) -> None:
    require_mm(mask(tmp_path / "mask.nii.gz", unit))


@pytest.mark.parametrize(("moved", "said"), [(0.4, False), (0.6, True)])
def test_two_positions_are_said(tmp_path: Path, moved: float, said: bool) -> None:
    assert ("lie 0.6 mm apart" in forms_apart(mask(tmp_path / "mask.nii.gz", moved_mm=moved))) == said


def test_the_command_measures_one_and_refuses_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved, metres = mask(tmp_path / "moved.nii.gz", moved_mm=3.0), mask(tmp_path / "metres.nii.gz", "meter")
    out = tmp_path / "out.csv"
    with pytest.raises(ImageError, match="1 of 2 masks could not be measured"):
        measure_files.main([str(moved), str(metres), "--per-slice", "-o", str(out)])
    said = capsys.readouterr().err
    assert "moved.nii.gz has a qform and an sform that lie 3 mm apart" in said
    assert "metres.nii.gz says in its header that its lengths are in meters" in said
    assert out.is_file()
