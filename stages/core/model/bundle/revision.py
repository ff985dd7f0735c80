"""Which code ran: for provenance files, never part of a digest."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

#: Set by a scratch workspace, which is a copy without history, to the revision that it was copied from.
REVISION = "CORDRIFT_REVISION"


def code_revision(root: Path = Path()) -> str:
    """Return ``<version>+<git commit>``, with ``-dirty`` where tracked files were edited, or the version alone."""
    known = os.environ.get(REVISION)
    if known:
        return known
    base = f"cordrift-{version('cordrift')}"
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = "-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    except (subprocess.CalledProcessError, FileNotFoundError):
        return base
    return f"{base}+{commit}{dirty}"


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()
