"""The hunt for what is left of a person: by name, inside zips, and in pictures of which a table says who is drawn."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from stages.core.data.datasets.registry import Registry
from stages.core.workspace.withdrawal.identity import Identity
from stages.core.workspace.withdrawal.rebuild import remove_data
from stages.core.workspace.withdrawal.traces import files_in_workspace


def _identity() -> Identity:
    return Identity(frozenset({("frozen", "sub-f1")}), frozenset({"ds", "frozen"}), frozenset())


def _zip(path: Path, members: dict[str, bytes]) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["kept_masks.zip", "cordrift-record.zip", "figures.zip", "cordrift-bundle.zip"])
def test_every_zip_is_looked_into(tmp_path: Path, name: str) -> None:
    """By the names of its files, the texts in it, and the zips in it."""
    for number, members in enumerate(
        (
            {"frozen/sub-f1/anat/sub-f1_T1w_seg.nii.gz": b"x"},
            {"artifacts/compare/csa.csv": b"schema,dataset,participant\n1,frozen,sub-f1\n"},
            {"training_data.json": b'{"cases": [{"dataset": "frozen", "participant": "sub-f1"}]}'},
            {"inner.zip": _zip(tmp_path / "inner.zip", {"sub-f1.nii.gz": b"x"})},
        )
    ):
        _zip(tmp_path / f"{number}/release/assets/{name}", members)
        assert files_in_workspace(tmp_path / str(number), _identity(), frozen=True) == [f"release/assets/{name}"]
    _zip(tmp_path / f"none/release/assets/{name}", {"sub-f2.nii.gz": b"x", "a.csv": b"participant\nsub-f2\n"})
    assert files_in_workspace(tmp_path / "none", _identity(), frozen=True) == []


def test_a_zip_that_cannot_be_read_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "release/assets/figures.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 cut")
    assert files_in_workspace(tmp_path, _identity(), frozen=False) == ["release/assets/figures.zip"]


@pytest.mark.parametrize("folder", ["", ".demo/", ".demo-micro/", ".monitor/lab/"])
def test_pictures_in_which_the_person_is_drawn_are_listed(tmp_path: Path, folder: str) -> None:
    """The id is a part of the picture there; the table beside it says who is drawn."""
    figures = tmp_path / f"{folder}reports/report/figures"
    figures.mkdir(parents=True)
    page = figures.parent / "index.html"
    page.write_text("<img src='data:image/png;base64,...'>")
    for name in ("worst_ten.png", "csa_std.png"):
        (figures / name).write_bytes(b"png")
    table = "schema,dataset,participant\n1,frozen,{}\n"
    (figures / "worst_ten.csv").write_text(table.format("sub-f2"))
    assert files_in_workspace(tmp_path, _identity(), frozen=True) == []
    (figures / "worst_ten.csv").write_text(table.format("sub-f1"))
    drawn = [
        f"{folder}reports/report/{name}" for name in ("figures/worst_ten.csv", "figures/worst_ten.png", "index.html")
    ]
    assert files_in_workspace(tmp_path, _identity(), frozen=True) == drawn
    (figures / "worst_ten.csv").unlink()  # as in reports from before the tables: nobody can tell
    assert files_in_workspace(tmp_path, _identity(), frozen=True) == drawn[1:]
    assert files_in_workspace(tmp_path, _identity(), frozen=False) == []


def test_what_a_killed_stage_left_is_removed_with_the_data(tmp_path: Path) -> None:
    left = tmp_path / "data/.part-prepare-x/raw"
    left.mkdir(parents=True)
    (left / "ds_sub-f1_T1w.nii.gz").write_bytes(b"x")
    os.utime(left.parent, (0, 0))
    remove_data(tmp_path, _identity(), Registry(datasets={}))
    assert not left.parent.exists()
