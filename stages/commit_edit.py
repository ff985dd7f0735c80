"""Record that an edit of comments, docstrings or layout of the code changes no output, so that `dvc repro` skips it.

The code is compared with the code in git that made the outputs: that of the commit in which dvc.lock was last written,
or of an earlier one. When anything else has changed, nothing is recorded. Commit dvc.lock afterwards.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.workspace.edits.code_edit import commit_edit


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the stages that the arguments name, and say which they were."""
    parser = argparse.ArgumentParser(prog="cordrift commit-edit", description=__doc__)
    parser.add_argument(
        "stages", nargs="*", metavar="STAGE", help="such as train or train@0 (default: all with new code)"
    )
    recorded = commit_edit(Path(), parser.parse_args(arguments).stages)
    if recorded:
        print(f"recorded in dvc.lock without running: {', '.join(recorded)}")
    else:
        print("no stage has code that differs from what dvc.lock knows: nothing to record")


if __name__ == "__main__":
    run(main)
