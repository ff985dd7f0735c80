"""A retraining on a runner: what DVC's remote has is pulled, the pipeline runs up to the bundle, what is new is pushed.

The remote is DVC_REMOTE_URL (a bucket or a folder); without it everything that changed is trained here, and stays here.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.workspace.runs.workspace import run_dvc

REMOTE = "DVC_REMOTE_URL"


def main(arguments: Sequence[str] | None = None) -> None:
    """Pull, train, push."""
    argparse.ArgumentParser(prog="cordrift retrain", description=__doc__).parse_args(arguments)
    root, remote = Path(), os.environ.get(REMOTE, "").strip()
    if not remote:
        print(f"{REMOTE} is not set: nothing is pulled or pushed.")
        run_dvc(root, "repro", "package")
        return
    run_dvc(root, "remote", "add", "--local", "--force", "--default", "lab", remote)
    # With the run cache: it knows what was trained before, whether or not dvc.lock was committed.
    run_dvc(root, "pull", "--run-cache", "--allow-missing")
    # Up to the bundle: its rule is declared, and its results come, when it is released.
    run_dvc(root, "repro", "--pull", "package")
    run_dvc(root, "push", "--run-cache")


if __name__ == "__main__":
    run(main)
