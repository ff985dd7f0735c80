"""Stage ``train``: one fold of nnU-Net on the prepared data."""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.core.errors import run
from stages.core.nnunet.training import train_fold
from stages.core.params import load_params


def main() -> None:
    """Train the fold named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fold", type=int, required=True)
    fold = parser.parse_args().fold
    train_fold(Path("data/prepare"), Path(f"data/train/{fold}"), Path("data/scratch"), load_params().train, fold)


if __name__ == "__main__":
    run(main)
