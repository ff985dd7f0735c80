"""Command ``monitor``: monitor a bundle on the test datasets of a profile, without training."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.data.datasets.registry import REGISTRY, entry, load_registry
from .core.workspace.runs.monitor import monitor
from .core.workspace.runs.params import load_params
from .core.workspace.runs.workspace import profile_file


def _beside(root: Path, profile: str) -> Path | None:
    """Return the folder ``../shared/<dataset>`` if it exists and the one test dataset of the profile has no pin."""
    datasets = load_params(profile_file(root, profile)).segment.datasets
    folder = root / "../shared" / datasets[0]
    pinned = entry(load_registry(root / REGISTRY), datasets[0], root / REGISTRY).commit
    return folder if len(datasets) == 1 and pinned is None and folder.is_dir() else None


def main() -> None:
    """Monitor the bundle named on the command line."""
    parser = argparse.ArgumentParser(prog="cordrift monitor", description=__doc__)
    parser.add_argument("bundle", type=Path, help="a bundle: data/package, or the zip of a release")
    parser.add_argument("--profile", required=True, help="whose test datasets: a file of params/ without its ending")
    parser.add_argument("--label", help="name in reports (default: as it is registered, else its first digits)")
    parser.add_argument(
        "--adopt",
        type=Path,
        metavar="FOLDER",
        help="a plain BIDS folder to make the test dataset from (default: ../shared/<dataset>, where it is not pinned)",
    )
    options = parser.parse_args()
    plain = options.adopt or _beside(Path(), options.profile)
    monitor(Path(), options.bundle, options.profile, options.label, plain, say=print)


if __name__ == "__main__":
    run(main)
