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

from .code_edit import CODE, record

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


def accept_moves(root: Path) -> list[str]:
    """Record the outputs of a workspace that was finished just before the moves; returns the names of the stages.

    Raises
    ------
    CordriftError
        A stage was last run with other code than that, or its data, params or outputs have changed. Nothing is recorded
        then.
    """
    return record(root, list(BEFORE_MOVES), unless_from_before)


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
