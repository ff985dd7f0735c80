"""Retrain on a runner: pull what DVC's remote has, run the pipeline up to the bundle, and push what is new.

DVC_REMOTE_URL names the remote (a bucket or a folder). Without it everything that changed is trained here, and nothing
leaves this machine.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.workspace.runs.workspace import repro_with_keys, run_dvc

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
    # The run cache knows what was trained before, even where dvc.lock was not committed.
    run_dvc(root, "pull", "--run-cache", "--allow-missing")
    # Only up to the bundle: the rule is declared, and the bundle is measured, when it is released.
    repro_with_keys(root, "package")
    run_dvc(root, "push", "--run-cache")


if __name__ == "__main__":
    run(main)
