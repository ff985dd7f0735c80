"""The files of a draft take from a training what a bundle has, and nothing that a name in it asks for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bundles import make_bundle
from support.cords import ROOT
from support.github_api import GitHubServer
from support.lab import unzipped

from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_json
from stages.core.release.github.repository import open_repository
from stages.core.release.github.runner import write_outputs
from stages.core.release.jobs.draft import write_draft

pytestmark = pytest.mark.slow

FENCE = "````\n</details>\n# owned"


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the job `train` hands over: data/package and dvc.lock."""
    folder = tmp_path_factory.mktemp("made")
    make_bundle(folder / "trained/data/package", folder / "scratch")
    (folder / "trained/dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    return folder / "trained"


@pytest.fixture
def trained(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change, below a checkout."""
    shutil.copytree(made, tmp_path / "release/trained")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    return tmp_path / "release/trained"


def _write(trained: Path, github: GitHubServer) -> Path:
    root = trained.parents[1]
    write_draft(root, open_repository(github.environment()), "v1.0.0", print, trained=trained)
    return root / "release/draft"


def test_only_files_of_a_bundle_are_released(trained: Path, github: GitHubServer) -> None:
    (trained / "data/package/notes.txt").write_text("left over")
    (trained / "data/package/fold_9").mkdir()
    (trained / "data/package/fold_9/weights.safetensors").write_bytes(b"of no fold")
    draft = _write(trained, github)
    packed = unzipped((draft / "cordrift-bundle.zip").read_bytes())
    assert set(packed) == {
        *("dataset.json", "model.json", "plans.json", "provenance.json", "training_data.json"),
        *("fold_0/progress.csv", "fold_0/weights.safetensors"),
    }
    assert (draft / "dvc.lock").is_file()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("#!/bin/sh\nid\n", "is not the lock file of DVC"),
        ("schema: '2.0'\nstages: {}\nextra: 1\n", "is not the lock file of DVC"),
        ("a: 1\na: 2\n", "is given twice"),
        ("x" * (5 << 20), "has over"),
    ],
)
def test_a_lock_file_that_is_none_is_refused(trained: Path, github: GitHubServer, content: str, sentence: str) -> None:
    (trained / "dvc.lock").write_text(content)
    with pytest.raises(CordriftError, match=sentence):
        _write(trained, github)


def test_a_lock_file_that_is_a_link_is_refused(trained: Path, github: GitHubServer) -> None:
    (trained / "dvc.lock").rename(trained / "elsewhere")
    (trained / "dvc.lock").symlink_to(trained / "elsewhere")
    with pytest.raises(CordriftError, match="is a link"):
        _write(trained, github)


def _dataset(name: str) -> dict[str, object]:
    case = {"case": "x", "dataset": name, "participant": "sub-1", "contrast": "T1w", "image_key": "k", "mask_key": "k"}
    return {"datasets": {name: {"tag": "r1", "commit": "c" * 40}}, "cases": [case], "folds": [], "digest": "0" * 64}


def test_a_name_of_the_training_data_cannot_leave_the_fence_of_data_diff(trained: Path, github: GitHubServer) -> None:
    write_json(trained / "data/package/training_data.json", _dataset("`````` ds"))
    text = (_write(trained, github) / "DATA_DIFF.md").read_text()
    fence = re.search(r"^(`+)text$", text, re.MULTILINE)
    assert fence is not None
    assert text.count(fence[1]) == 2, "it opens and closes once"
    assert r"\`" in (trained.parents[1] / "release/draft/TRAINING.md").read_text()


def test_hidden_characters_in_the_training_data_are_refused(trained: Path, github: GitHubServer) -> None:
    value = _dataset("ds")
    value["cases"][0]["participant"] = "sub-1\x1b[2J"  # type: ignore[index]
    write_json(trained / "data/package/training_data.json", value)
    with pytest.raises(CordriftError, match="holds characters that cannot be shown"):
        _write(trained, github)
    assert read_json(trained / "data/package/model.json")["folds"] == [0]


@pytest.mark.parametrize("value", ["v1\nshards=[]", "v1\rx=y"])
def test_an_output_of_a_step_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    with pytest.raises(ValueError, match="must be one line"):
        write_outputs({"tag": value})
    assert not (tmp_path / "out").exists()


def test_a_tag_that_is_published_takes_no_draft(trained: Path, github: GitHubServer) -> None:
    github.add_release("v1.0.0")
    with pytest.raises(CordriftError, match=r"v1.0.0 is published already in lab/cordrift; a draft needs another tag"):
        _write(trained, github)
