"""The revision of the code that runs. It is written into provenance files and is never part of a digest."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

#: Environment variable with the revision from which a scratch workspace was copied; such a copy has no git history.
REVISION = "CORDRIFT_REVISION"


def code_revision(root: Path = Path()) -> str:
    """Return ``<version>+<git commit>``, with ``-dirty`` where tracked files were edited.

    It is the version alone where ``root`` is not a git clone, and the value of ``REVISION`` where that is set.
    """
    copied_from = os.environ.get(REVISION)
    if copied_from:
        return copied_from
    base = f"cordrift-{version('cordrift')}"
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = "-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    except (subprocess.CalledProcessError, FileNotFoundError):
        return base
    return f"{base}+{commit}{dirty}"


def _git(root: Path, *words: str) -> str:
    # Git refuses a checkout of another owner, such as a mounted one. The code in it is what runs here anyway.
    safe = f"safe.directory={root.resolve()}"
    done = subprocess.run(["git", "-c", safe, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()
