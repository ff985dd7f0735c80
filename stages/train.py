"""Stage `train`: train one fold of nnU-Net on the prepared data."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.base.stage import matrix_item, whole_number
from .core.model.training.fold import train_fold
from .core.model.training.settings import Train


def main() -> None:
    """Train the fold named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fold", help="number of the fold, from 0")
    fold = whole_number(matrix_item("train", parser.parse_args().fold, "--fold N"), "a fold")
    train_fold(Path("data/prepare"), Path(f"data/train/{fold}"), Path("data/scratch"), Train.read(), fold)


if __name__ == "__main__":
    run(main)
