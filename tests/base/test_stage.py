"""A stage of a matrix finds its item where DVC names it, and takes none that is no plain name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cords import ROOT

from stages.core.base.errors import SettingsError
from stages.core.base.stage import VARIABLE, matrix_item, whole_number
from stages.core.workspace.runs.workspace import make_workspace, run_dvc
from stages.core.workspace.runs.yaml_edit import edit_yaml


def test_the_item_is_what_the_option_says_or_what_dvc_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "segment@phantom-frozen-1")
    assert matrix_item("segment", None, "--dataset") == "phantom-frozen-1"
    assert matrix_item("segment", "other-0", "--dataset") == "other-0"
    with pytest.raises(SettingsError, match=r"train needs --fold N, where DVC does not run it"):
        matrix_item("train", None, "--fold N")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(SettingsError, match=r"segment needs --dataset"):
        matrix_item("segment", None, "--dataset")


@pytest.mark.parametrize("item", ["0; touch P #", "../x", "-rf", "a b", "$(id)", "a\nb", "`id`"])
def test_an_item_that_is_no_plain_name_is_refused(monkeypatch: pytest.MonkeyPatch, item: str) -> None:
    monkeypatch.setenv(VARIABLE, f"train@{item}")
    with pytest.raises(SettingsError, match=r"train cannot run for .*: expected letters, digits"):
        matrix_item("train", None, "--fold N")


@pytest.mark.parametrize("text", ["", "-1", "1.5", "one", "²"])
def test_a_number_of_a_fold_or_shard_is_whole(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not the number of a fold"):
        whole_number(text, "a fold")
    assert whole_number("12", "a fold") == 12


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose params hold shell text where DVC reads them first."""
    folder = tmp_path_factory.mktemp("hostile")
    make_workspace(ROOT, folder, "micro")
    for name in ("prepare", "paint"):
        (folder / "data" / name).mkdir(parents=True)
    edit_yaml(folder / "params.yaml", lambda params: params["train"].update(folds=["0; touch P #"]))
    return folder


@pytest.mark.slow
def test_dvc_runs_no_text_of_params(hostile: Path) -> None:
    """Also where somebody calls DVC itself: the command of the stage holds nothing of params."""
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", "train@0; touch P #"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=hostile, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "train cannot run for '0; touch P #'" in done.stderr + done.stdout
    assert not (hostile / "P").exists()


def test_params_are_checked_before_dvc_starts(hostile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match=r"'train.folds.0' is '0; touch P #'"):
        run_dvc(hostile, "repro", "train")
    assert capfd.readouterr().out == "", "DVC was not started"
