"""Monitor a bundle without training: on the test datasets of a profile, or on a BIDS folder of your own."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.data.datasets.registry import REGISTRY, entry, load_registry
from .core.workspace.runs.monitor import monitor, monitor_images
from .core.workspace.runs.params import load_params
from .core.workspace.runs.workspace import profile_file


def _beside(root: Path, profile: str) -> Path | None:
    """Return the folder ``../shared/<dataset>`` if it exists and the one test dataset of the profile has no pin."""
    datasets = load_params(profile_file(root, profile)).segment.datasets
    folder = root / "../shared" / datasets[0]
    pinned = entry(load_registry(root / REGISTRY), datasets[0], root / REGISTRY).commit
    return folder if len(datasets) == 1 and pinned is None and folder.is_dir() else None


def main(arguments: list[str] | None = None) -> None:
    """Monitor the bundle named on the command line."""
    parser = argparse.ArgumentParser(prog="cordrift monitor", description=__doc__)
    parser.add_argument("bundle", type=Path, help="a bundle: data/package, or the zip of a release")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--profile", help="whose test datasets: a file of params/ without its ending")
    where.add_argument("--bids", type=Path, metavar="FOLDER", help="images with disc labels, and masks where there are "
                       "some; everybody in it is measured, with the settings of params.yaml")  # fmt: skip
    parser.add_argument("--name", help="of the images of --bids in the report (default: that of the folder)")
    parser.add_argument("--label", help="name in reports (default: as it is registered, else its first digits)")
    parser.add_argument("--no-floors", action="store_true", help="leave out the floors (some images are segmented "
                        "again in other ways), which take most of the time of a small dataset")  # fmt: skip
    parser.add_argument(
        "--adopt",
        type=Path,
        metavar="FOLDER",
        help="a plain BIDS folder to make the test dataset from (default: ../shared/<dataset>, where it is not pinned)",
    )
    options = parser.parse_args(arguments)
    if options.bids and options.adopt:
        parser.error("--adopt belongs to --profile: with --bids the folder is named already")
    if options.name and not options.bids:
        parser.error("--name belongs to --bids: with --profile the images have the profile's name")
    floors = not options.no_floors
    if options.bids:
        name = options.name or options.bids.resolve().name
        monitor_images(Path(), options.bundle, options.bids, name, options.label, floors=floors, say=print)
        return
    plain = options.adopt or _beside(Path(), options.profile)
    monitor(Path(), options.bundle, options.profile, options.label, plain, floors=floors, say=print)


if __name__ == "__main__":
    run(main)
