"""Removing a participant from a clone, killed before any call of git, is ended by the same command."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.cords import ROOT
from support.data_factory import make_dataset
from support.withdrawal import contents_of, holds

from stages.core.data.clones import annex
from stages.core.data.clones.lock import clone_lock
from stages.core.workspace.withdrawal.clones import remove_participants

pytestmark = pytest.mark.slow

REMOVE = """
from pathlib import Path
from stages.core.data.clones.lock import clone_lock
from stages.core.workspace.withdrawal.clones import remove_participants
with clone_lock(Path("clone")):
    remove_participants(Path("clone"), ["sub-a1"])
"""


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset ``src`` and its clone ``clone`` with all content."""
    folder = tmp_path_factory.mktemp("fetched")
    commit = make_dataset(folder / "src", {"sub-a1": "a", "sub-a2": "a"})
    annex.clone(str(folder / "src"), folder / "clone", commit, "r1")
    annex.get(folder / "clone", [path for path in annex.list_paths(folder / "clone") if path.endswith(".nii.gz")])
    return folder


def _git_that_kills(folder: Path, call: int) -> Path:
    """A program ``git`` that kills the process which starts it at the given call, and is git otherwise."""
    program = folder / "bin/git"
    program.parent.mkdir()
    (folder / "count").write_text("0")
    program.write_text(
        f"""#!/bin/sh
n=$(($(cat {folder}/count) + 1)); echo $n > {folder}/count
if [ $n = {call} ]; then kill -9 $PPID; exit 137; fi
exec {shutil.which("git")} "$@"
"""
    )
    program.chmod(0o755)
    return program.parent


@pytest.mark.long
def test_a_removal_that_is_killed_before_any_call_of_git_can_be_ended(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = contents_of(fetched / "src", "sub-a1")
    killed, call = 0, 1
    while True:
        place = tmp_path / str(call)
        place.mkdir()
        shutil.copytree(fetched / "clone", place / "clone", symlinks=True)
        path = f"{_git_that_kills(place, call)}:{Path(sys.executable).parent}:/usr/bin:/bin:/usr/local/bin"
        env = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(place)}
        done = subprocess.run([sys.executable, "-c", REMOVE], cwd=place, env=env, capture_output=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        killed += 1
        if call % 2:  # as where git itself was killed while it wrote
            for name in ("index.lock", "info/sparse-checkout.lock", "config.lock"):
                (place / "clone/.git" / name).touch()
        with clone_lock(place / "clone"):
            remove_participants(place / "clone", ["sub-a1"])
        assert holds(place / "clone", "sub-a1", theirs) == []
        assert (place / "clone/sub-a2").is_dir()
        shutil.rmtree(place, ignore_errors=True)
        call += 1
    assert killed >= 5
