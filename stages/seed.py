"""Train again with another seed, to know how much the results change when only the seed changes.

This takes as long as the training. The stage `floor` compares the two trainings, and the quality margin is never below
the change that it finds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.workspace.runs.other_seed import train_again


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, and print what to do next."""
    parser = argparse.ArgumentParser(prog="cordrift seed", description=__doc__)
    parser.add_argument("seed", type=int)
    seed = parser.parse_args(arguments).seed
    print(f"{train_again(Path(), seed)}: `dvc repro` compares it with the packaged version.")


if __name__ == "__main__":
    run(main)
