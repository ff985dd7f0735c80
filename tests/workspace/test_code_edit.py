"""An edit of words is recorded without a run; an edit of anything else is refused, and nothing is recorded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.commit_edit import main
from stages.core.base.errors import CordriftError, SettingsError
from stages.core.workspace.edits.code_edit import commit_edit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_stages")]

PIPELINE = """
stages:
  train:
    matrix:
      fold: [0, 1]
    cmd: python -m stages.train ${item.fold}
    deps:
      - data/in.txt
      - stages/train.py
      - stages/core/base
    params: [train]
    outs:
      - data/train/${item.fold}
  report:
    cmd: python -m stages.report
    deps:
      - data/train
      - stages/report.py
    outs:
      - data/report.txt
"""
TRAIN = '''"""Train."""
import sys
from pathlib import Path

from .core.base.numbers import twice

out = Path("data/train") / sys.argv[1]
out.mkdir(parents=True)
(out / "weights.txt").write_text(str(twice(int(Path("data/in.txt").read_text()))))  # the sum
'''
NUMBERS = '''"""Numbers."""


def twice(number):
    """Return twice a number."""
    return 2 * number
'''
REPORT = """from pathlib import Path

Path("data/report.txt").write_text(Path("data/train/0/weights.txt").read_text())
"""


def _run(folder: Path, *words: str) -> str:
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder), "DVC_NO_ANALYTICS": "1"}
    env |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _commit(folder: Path) -> None:
    _run(folder, "git", "add", "-A")
    _run(folder, "git", "commit", "-qm", "An edit")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which everything ran and dvc.lock is committed."""
    folder = tmp_path_factory.mktemp("finished") / "lab"
    for name, text in {
        "dvc.yaml": PIPELINE,
        "params.yaml": "train:\n  epochs: 1\n",
        "data/in.txt": "21",
        ".gitignore": "__pycache__/\n/data/train/\n/data/report.txt\n",
        ".dvcignore": "__pycache__/\n",
        "stages/__init__.py": "",
        "stages/train.py": TRAIN,
        "stages/report.py": REPORT,
        "stages/core/__init__.py": "",
        "stages/core/base/__init__.py": "",
        "stages/core/base/numbers.py": NUMBERS,
        "stages/core/base/page.html": "<p>",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    _run(folder, "git", "init", "-q", "-b", "main")
    _run(folder, "dvc", "init", "-q")
    _run(folder, "dvc", "repro", "-q")
    _commit(folder)
    return folder


@pytest.fixture
def lab(finished: Path, tmp_path: Path) -> Path:
    """A copy of that checkout."""
    return Path(shutil.copytree(finished, tmp_path / "lab", symlinks=True))


def _edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def _words(folder: Path) -> None:
    _edit(
        folder, "stages/core/base/numbers.py", '    """Return twice a number."""\n', "    # Doubling is enough here.\n"
    )
    _edit(folder, "stages/train.py", "# the sum", "# of both\n\n")


def test_an_edit_of_words_is_recorded_and_nothing_runs(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _words(lab)
    _commit(lab)
    assert "train@0" in _run(lab, "dvc", "status")
    monkeypatch.chdir(lab)
    main([])
    assert capsys.readouterr().out == "recorded in dvc.lock without running: train@0, train@1\n"
    assert "up to date" in _run(lab, "dvc", "status")
    assert "Running" not in _run(lab, "dvc", "repro")
    _commit(lab)
    main([])
    assert "nothing to record" in capsys.readouterr().out


def test_a_second_edit_is_compared_with_the_lock_of_the_first(lab: Path) -> None:
    _words(lab)
    _commit(lab)
    assert commit_edit(lab, ["train"]) == ["train@0", "train@1"]
    _commit(lab)
    _edit(lab, "stages/train.py", '"""Train."""', '"""Train a fold."""')
    _commit(lab)
    assert commit_edit(lab, ["train@0"]) == ["train@0"]
    assert "train@1" in _run(lab, "dvc", "status")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda lab: _edit(lab, "stages/core/base/numbers.py", "2 * number", "3 * number"),
            "the code of stages/core/base/numbers.py has changed since",
        ),
        (
            lambda lab: _edit(lab, "stages/train.py", "from .core.base.numbers", "from .core.base.digits"),
            "the code of stages/train.py has changed",
        ),
        (lambda lab: _edit(lab, "stages/core/base/page.html", "<p>", "<b>"), "the code of stages/core/base/page.html"),
        (
            lambda lab: (lab / "stages/core/base/more.py").write_text(""),
            "files of stages/core/base were added, removed or renamed: stages/core/base/more.py",
        ),
        (lambda lab: _edit(lab, "params.yaml", "1", "2"), "params.yaml: train modified"),
        (lambda lab: _edit(lab, "data/in.txt", "21", "22"), "data/in.txt: modified"),
        (lambda lab: _edit(lab, "dvc.yaml", "stages.train ${item.fold}", "stages.train ${item.fold} "), ""),
        (lambda lab: _edit(lab, "dvc.yaml", "stages.train ${item", "stages.train -- ${item"), "changed command"),
        (lambda lab: shutil.rmtree(lab / "data/train/1"), "the output data/train/1: deleted"),
    ],
    ids=["code", "own import", "page", "new file", "params", "data", "white space of a command", "command", "output"],
)
def test_anything_else_is_refused_and_nothing_is_recorded(
    lab: Path, change: Callable[[Path], object], sentence: str
) -> None:
    _words(lab)
    change(lab)
    _commit(lab)
    before = (lab / "dvc.lock").read_bytes()
    if not sentence:
        assert commit_edit(lab, []) == ["train@0", "train@1"]
        return
    with pytest.raises(CordriftError, match="nothing was recorded") as caught:
        commit_edit(lab, [])
    assert sentence in str(caught.value)
    assert (lab / "dvc.lock").read_bytes() == before


def test_a_stage_with_more_than_words_does_not_stop_another_that_is_named(lab: Path) -> None:
    _words(lab)
    _edit(lab, "stages/report.py", "write_text(", "write_text('x' + ")
    _commit(lab)
    with pytest.raises(CordriftError, match=r"report: the code of stages/report.py has changed"):
        commit_edit(lab, [])
    assert commit_edit(lab, ["train"]) == ["train@0", "train@1"]


def test_a_tree_with_changes_that_are_not_committed_is_refused(lab: Path) -> None:
    _words(lab)
    with pytest.raises(CordriftError, match=r"not committed \(stages/core/base/numbers.py, stages/train.py\): commit"):
        commit_edit(lab, [])


def test_a_lock_that_was_written_for_other_code_than_its_commit_holds_is_refused(lab: Path) -> None:
    """A lab that ran with code that it never committed has no text to compare with."""
    _edit(lab, "stages/core/base/numbers.py", "2 * number", "number + number")
    _run(lab, "dvc", "repro", "-q")
    _run(lab, "git", "checkout", "-q", "stages")
    _edit(lab, "stages/train.py", "# the sum", "# of both")
    _commit(lab)
    with pytest.raises(CordriftError, match=r"holds the code of stages/core/base that made the outputs"):
        commit_edit(lab, [])


def test_a_lock_that_git_does_not_know_and_a_misspelt_stage_are_told(lab: Path) -> None:
    with pytest.raises(CordriftError, match=r"dvc.lock has no stage 'trian' \(did you mean 'train'\?\); it has report"):
        commit_edit(lab, ["trian"])
    _edit(lab, ".gitignore", "/data/train/", "/dvc.lock\n/data/train/")
    _run(lab, "git", "rm", "-rq", "--cached", "dvc.lock")
    shutil.rmtree(lab / ".git")
    _run(lab, "git", "init", "-q", "-b", "main")
    _commit(lab)
    with pytest.raises(CordriftError, match=r"git knows no commit of .*dvc\.lock"):
        commit_edit(lab, [])


def test_a_folder_in_which_nothing_ran_is_refused(lab: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"stages has no dvc.yaml: run this in the folder of a checkout or workspace"
    ):
        commit_edit(lab / "stages", [])
    (lab / "dvc.lock").unlink()
    with pytest.raises(SettingsError, match=r"lab has no dvc.lock"):
        commit_edit(lab, [])


def test_a_declaration_of_the_encoding_is_no_comment(lab: Path) -> None:
    """With it Python reads other text from the same bytes."""
    _edit(lab, "stages/core/base/numbers.py", "def twice", 'UNIT = "mm²"\n\n\ndef twice')
    _run(lab, "dvc", "repro", "-q")
    _commit(lab)
    path = lab / "stages/core/base/numbers.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\n" + path.read_bytes())
    _commit(lab)
    with pytest.raises(CordriftError, match=r"the code of stages/core/base/numbers\.py has changed"):
        commit_edit(lab, [])
    path.write_bytes(b"\0 this is not Python")
    _commit(lab)
    with pytest.raises(CordriftError, match=r"the code of stages/core/base/numbers\.py has changed"):
        commit_edit(lab, [])


def test_the_text_that_the_lock_knew_is_found_in_an_earlier_commit(lab: Path) -> None:
    """The lock was written again for one instance; the text that made the other one is older."""
    _words(lab)
    _commit(lab)
    assert commit_edit(lab, ["train@0"]) == ["train@0"]
    _commit(lab)
    assert commit_edit(lab, ["train@1"]) == ["train@1"]
    assert "up to date" in _run(lab, "dvc", "status")
