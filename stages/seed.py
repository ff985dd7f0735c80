"""Train once more with another seed, to know what a retraining moves when nothing has changed.

Takes as long as the training. The stage `floor` compares it, and the quality margin is never below what it moves.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.workspace.runs.other_seed import train_again


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, and say what comes next."""
    parser = argparse.ArgumentParser(prog="cordrift seed", description=__doc__)
    parser.add_argument("seed", type=int)
    seed = parser.parse_args(arguments).seed
    print(f"{train_again(Path(), seed)}: `dvc repro` sets it beside the packaged version.")


if __name__ == "__main__":
    run(main)
