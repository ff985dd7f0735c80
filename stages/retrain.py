"""The steps of a retraining on a runner: `pull` what DVC's remote has, `train` up to the bundle, `push` what is new.

The remote is DVC_REMOTE_URL (a bucket or a folder); without it `pull` and `push` say so and do nothing. Its credentials
are needed by these two alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from stages.core.errors import run
from stages.core.workspace import dvc

REMOTE = "DVC_REMOTE_URL"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the step that is named first."""
    parser = argparse.ArgumentParser(prog="cordrift retrain", description=__doc__)
    parser.add_argument("step", choices=["pull", "train", "push"])
    step = parser.parse_args(arguments).step
    root = Path()
    if step == "train":
        # What monitors comes with the release: there the rule is declared before the results.
        dvc(root, "repro", "package")
        return
    remote = os.environ.get(REMOTE, "").strip()
    if not remote:
        print(f"{REMOTE} is not set: nothing to {step}; the next run trains anew.")
        return
    dvc(root, "remote", "add", "--local", "--force", "--default", "lab", remote)
    # The run cache too: it knows what was trained before, whether or not dvc.lock was committed.
    dvc(root, step, "--run-cache", *(["--allow-missing"] if step == "pull" else []))


if __name__ == "__main__":
    run(main)
