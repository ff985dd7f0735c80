"""Files of a commit that hold no image: links from one image to another, pointers of git-lfs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cases import fetch_case, make_image, publish
from support.data_factory import entry, workspace

from stages import fetch
from stages.core.base.errors import DatasetError
from stages.core.data.datasets.manifest import read_manifest


def test_git_lfs_pointers_are_refused_by_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=r"as a git-lfs pointer, and not its content.*git lfs pull"):
        fetch_case("lfs-pointers", tmp_path, monkeypatch)


def test_a_link_inside_the_dataset_is_left_out_with_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "plain"
    for sub in ("sub-02", "sub-03"):
        (folder / sub / "anat").mkdir(parents=True)
    make_image(folder / "sub-02/anat/sub-02_T2w.nii.gz")
    (folder / "sub-03/anat/sub-03_T2w.nii.gz").symlink_to("../../sub-02/anat/sub-02_T2w.nii.gz")
    monkeypatch.chdir(tmp_path)
    commit = publish(tmp_path / "ds", folder)
    contrasts = {"T2w": {"image": "{sub}/anat/{sub}_T2w.nii.gz"}}
    registered = entry(str(tmp_path / "ds"), commit, role="test") | {"contrasts": contrasts}
    workspace(Path(), {"ds": registered}, [("sub-02", "ds"), ("sub-03", "ds")])
    fetch.main(["--dataset", "ds"])
    manifest = read_manifest(Path("data/fetch/ds.json"))
    assert [case.participant for case in manifest.cases] == ["sub-02"]
    (left,) = manifest.excluded
    assert left.participant == "sub-03"
    assert "points to ../../sub-02/anat/sub-02_T2w.nii.gz" in left.reason
