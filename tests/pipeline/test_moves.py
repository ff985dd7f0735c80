"""A workspace that was finished before the modules moved to their rooms: nothing is trained or segmented again."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.micro import ROOT, pin_cohort
from support.same_numbers import differences

from stages.core.base.files import read_json
from stages.core.workspace.edits.moved_code import BEFORE_MOVES, is_code_of_the_moves
from stages.core.workspace.runs.workspace import dvc_environment, make_workspace
from stages.core.workspace.runs.yaml_edit import edit_yaml

#: The last commit before the moves.
BEFORE = "e844df485db714b3c025e2f34de8d04cefb7ace6"
#: Makes the workspace of the micro profile with the code of that commit, in its folder.
MAKE = "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; from micro import micro_workspace as make; "
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def _run(folder: Path, *words: str, **more: str) -> str:
    env = {key: value for key, value in dvc_environment(**more).items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that the code of BEFORE made and finished."""
    if not is_code_of_the_moves(ROOT):
        pytest.skip("the code has changed since the moves: the step is over, delete moved_code.py and this module")
    archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"git has no commit {BEFORE[:12]} here: this is a clone without its history, or no clone")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder / "code", filter="data")
    work, cohort = folder / "work", folder / "cohort"
    _run(folder / "code", "-c", f"{MAKE} make(Path({str(work)!r}), Path({str(cohort)!r}))")
    _run(work, "-m", "dvc", "repro")
    return work


def test_a_finished_workspace_goes_on_without_training_and_with_every_number(before: Path, tmp_path: Path) -> None:
    was = Path(shutil.copytree(before, tmp_path / "was", symlinks=True))
    make_workspace(ROOT, before, "micro")
    pin_cohort(before, before.parent / "cohort")
    edit_yaml(before / "params.yaml", lambda params: params["register"].update(label="v1"))
    assert "train@0" in _run(before, "-m", "stages.accept_edit", "--moves")

    output = _run(before, "-m", "dvc", "repro")
    ran = {name.partition("@")[0] for name in re.findall(r"Running stage '([^']+)'", output)}
    assert ran.isdisjoint(BEFORE_MOVES), "the outputs from fetch to segment are recorded, not made again"
    assert {"measure", "compare"} <= ran, "the ruler has another id, once"
    # The ruler and the rule of the verdict have changed since the moves; what is segmented has not.
    made = ("data/", "reports/segment/")
    assert [line for line in differences(was, before) if line.startswith(made)] == []
    rulers = [read_json(work / "reports/measure/summary.json")["ruler"] for work in (was, before)]
    assert rulers[0] != rulers[1]

    # The next version is judged against the one from before, which is measured again from its kept masks.
    edit_yaml(before / "params.yaml", lambda params: params["register"].update(label="v2"))
    edit_yaml(before / "params.yaml", lambda params: params["train"].update(seed=2))
    _run(before, "-m", "dvc", "repro")
    drift = read_json(before / "reports/compare/drift.json")
    (prior,) = drift["priors"]
    assert (prior["label"], prior["comparable"], prior["marks"]) == ("v1", True, ["other rule"])
    assert read_json(before / "reports/history" / prior["digest"][:12] / "summary.json")["ruler"] == rulers[1]
