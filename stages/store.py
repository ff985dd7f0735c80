"""Command ``cordrift store mend``: lead the artifact paths of a moved MLflow store to where it lies now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.store.location import artifact_roots, find_location, mend_paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Mend the store of a workspace; says so when there is nothing to mend."""
    parser = argparse.ArgumentParser(prog="cordrift store", description=__doc__)
    parser.add_argument("action", choices=["mend"])
    parser.add_argument("--workspace", type=Path, default=Path())
    options = parser.parse_args(arguments)
    place = find_location(options.workspace)
    if place.database is None:
        raise CordriftError(f"MLflow at {place.name} is a server, which keeps its own paths: there is nothing to mend.")
    if not place.database.is_file():
        raise CordriftError(f"There is no MLflow store at {place.database}; `dvc repro` makes one.")
    new = place.database.parent
    old = [root for root in artifact_roots(place.database) if root != str(new)]
    for root in old:
        count = mend_paths(place.database, root, new)
        print(f"{count} paths in {place.database} now lead to {new} instead of {root}.")
    if not old:
        print(f"The paths in {place.database} lead to {new} already.")


if __name__ == "__main__":
    run(main)
