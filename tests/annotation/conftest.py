"""A lab whose folder was made a dataset, and in which two of five people have no masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.annotated import Truth, model
from support.own_folder import make_folder

from stages import annotate, new
from stages.core.annotation.drafts import draft as drafting
from stages.core.workspace.runs.workspace import make_workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a lab's folder was made a dataset; two of its five people have no masks."""
    base = tmp_path_factory.mktemp("annotation")
    make_folder(base / "own", base / "cohort", "r1")
    make_workspace(ROOT, base / "work", "micro")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base / "work")
        new.main(["lab", "--bids", str(base / "own"), "--base", "micro", "--hours", "0.0001", "--yes"])
    return base


@pytest.fixture
def lab(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made / "work", tmp_path / "work", symlinks=True)
    monkeypatch.chdir(tmp_path / "work")
    truth = Truth(made / "cohort")
    monkeypatch.setattr(drafting, "make_search", lambda *_: truth)
    monkeypatch.setattr(annotate, "find_bundle", model)
    return tmp_path / "work"
