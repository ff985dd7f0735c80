"""What is left of a participant after a withdrawal: searched in folders, and printed commands that are run."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stages.core.workspace.runs.workspace import dvc_environment
from support.data_factory import (
    image_path,
    mask_path,
)


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files of a clone except the objects of git and the table of participants."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).as_posix()
        if path.is_file() and not re.search(r"(^|/)\.git/(objects|index)|participants\.tsv$", inside):
            yield path


def holds(folder: Path, sub: str, contents: set[str]) -> list[str]:
    """Return the files that are named after a participant or have one of the contents."""
    return [
        str(path)
        for path in _files(folder)
        if (re.search(rf"{sub}(?![A-Za-z0-9])", path.relative_to(folder).as_posix()) and ".git" not in path.parts)
        or hashlib.sha256(path.read_bytes()).hexdigest() in contents
    ]


def contents_of(source: Path, sub: str) -> set[str]:
    files = [source / one(sub, contrast) for one in (image_path, mask_path) for contrast in ("T1w", "T2w")]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def git_env() -> dict[str, str]:
    return {**dvc_environment(), "GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@x", "GIT_COMMITTER_NAME": "x"} | {
        "GIT_COMMITTER_EMAIL": "x@x"
    }


def section(text: str, title: str) -> str:
    found = re.search(rf"^{title}.*\n((?:  .*\n?)*)", text, re.MULTILINE)
    assert found, title
    return found[1]


def commands_with(text: str, word: str) -> list[str]:
    """Return the printed commands that match a pattern."""
    lines = [line.strip() for line in text.splitlines() if line.startswith(" " * 7)]
    return [line for line in lines if re.search(word, line)]


def shell(command: str, folder: Path) -> str:
    """Run a printed command as a user would type it."""
    done = subprocess.run(  # noqa: S602 - a shell is what they are typed into
        command,
        shell=True,
        cwd=folder,
        env=git_env(),
        capture_output=True,
        text=True,
        check=False,
        executable="/bin/bash",
    )
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout
