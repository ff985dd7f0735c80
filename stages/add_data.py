"""Take the next revision of a dataset: its tag, the pin in the registry, and the label of the next version.

A dataset that `cordrift new` made of a plain folder first takes the files of that folder; one that lies elsewhere must
have the tag already. The frozen test split stays at its revision.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.workspace.runs.next_revision import add_data


def main(argv: list[str] | None = None) -> None:
    """Save, tag and pin the next revision, and say what changed."""
    parser = argparse.ArgumentParser(prog="cordrift add-data", description=__doc__)
    parser.add_argument("name", help="entry of the registry")
    parser.add_argument("--bids", type=Path, metavar="FOLDER", help="the plain folder (default: as `new` was given it)")
    parser.add_argument("--tag", help="name of the revision (default: the next number, r1 -> r2)")
    parser.add_argument("--label", help="of the next model version (default: the next number, v1 -> v2)")
    options = parser.parse_args(argv)
    add_data(Path(), options.name, options.bids, options.tag, options.label, print)


if __name__ == "__main__":
    run(main)
