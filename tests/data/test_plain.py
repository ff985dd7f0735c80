"""`cordrift check FILE ...`: plain files and folders, without a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cases import make_image
from support.data_factory import SHARED

from stages import check_files
from stages.core.base.errors import ImageError


@pytest.mark.parametrize("case", ["check-image-4d", "check-ones-above", "check-qform-precision"])
def test_cases_that_are_usable_pass(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = SHARED / "cases" / case
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the cases are given material")
    check_files.main([str(folder)])
    assert capsys.readouterr().out.endswith("check: 6 files, 0 with errors\n")


def test_what_is_no_image_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")
    for name, said in (
        ("absent", "does not exist"),
        ("empty", "holds no NIfTI file"),
        ("note.txt", "is no NIfTI file"),
    ):
        with pytest.raises(ImageError, match=said):
            check_files.main([str(tmp_path / name)])


def test_one_bad_file_is_named_and_the_others_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_image(tmp_path / "sub-01_T2w.nii.gz")
    (tmp_path / "sub-02_T2w.nii.gz").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ImageError, match="1 of 2 files have errors"):
        check_files.main([str(tmp_path)])
    assert "sub-02_T2w.nii.gz is a git-lfs pointer file" in capsys.readouterr().out
