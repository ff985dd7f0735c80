"""A step for one time: a workspace that was finished before the modules moved to their rooms goes on without training.

The moves changed the paths of all code and no number (tests/pipeline/test_moves.py compares both sides to the last
digit). DVC sees other inputs and would train again. Where the lock of a stage names exactly the code from just before
the moves, its outputs are those that the code of today makes, and this is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import CordriftError
from ...base.files import digest_of
from ...base.params import load_yaml
from ...base.syntax import syntax
from .code_edit import CODE, commit_stages, files_in_folder, require_lock

#: For each stage, what :func:`_code_digest` returns for a lock of the last commit before the moves. The stages after
#: segment are not among them: the ruler has another name since then, so they run once.
BEFORE_MOVES = {
    "fetch": "e01e7b65a6749519",
    "check": "f895a40d9e8f045d",
    "prepare": "416cd55210d39446",
    "train": "e90187adfdea251c",
    "package": "a149567c7609499e",
    "segment": "0c3066de11a3bb40",
}
#: What :func:`code_of_today` returned when the modules had moved. Where it returns another value, this step is over:
#: delete this module, its option and tests/pipeline/test_moves.py.
AFTER_MOVES = "ae35c6118aa97c6f"


def accept_moves(root: Path) -> list[str]:
    """Record the outputs of a workspace that was finished just before the moves; returns the names of the stages.

    Raises
    ------
    CordriftError
        A stage was last run with other code than that, the code of today is no longer that of the moves, or data,
        params or outputs have changed. Nothing is recorded then.
    """
    require_lock(root)
    if not is_code_of_the_moves(root):
        raise CordriftError(
            "the code of fetch to segment has changed since the modules moved, so that its outputs may be others. "
            "Check out the commit of the moves (the entry 'Rooms' of CHANGELOG.md), run this there, and then go on."
        )
    return commit_stages(root, list(BEFORE_MOVES), unless_from_before)


def is_code_of_the_moves(root: Path) -> bool:
    """Tell whether the code of the stages from fetch to segment does what it did when the modules had moved."""
    return code_of_today(root) == AFTER_MOVES


def code_of_today(root: Path) -> str:
    """Return 16 hexadecimal digits that name the code that those stages declare: its syntax, and other files whole."""
    declared = load_yaml(root / "dvc.yaml")["stages"]
    paths = {path for stage in BEFORE_MOVES for path in declared[stage]["deps"] if path.startswith(CODE)}
    files = {name: content for path in sorted(paths) for name, content in files_in_folder(root, path).items()}
    known = {
        name: syntax(content, imports_in_place=True) if name.endswith(".py") else hashlib.sha256(content).hexdigest()
        for name, content in files.items()
    }
    return digest_of(known)[:16]


def unless_from_before(locked: Mapping[str, Any], paths: Sequence[str]) -> str:
    """Return an empty string for a stage's entry of a lock from just before the moves, else say why it is not."""
    stage = str(locked["cmd"]).split()[2].removeprefix("stages.")
    if _code_digest(locked) == BEFORE_MOVES[stage]:
        return ""
    return f"it was last run with other code than that just before the moves (first path: {min(paths)})"


def _code_digest(locked: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that name the code of a stage as its lock knows it."""
    code = sorted((str(entry["path"]), str(entry["md5"])) for entry in locked["deps"] if entry["path"].startswith(CODE))
    return hashlib.sha256("\n".join(f"{path} {digest}" for path, digest in code).encode()).hexdigest()[:16]
