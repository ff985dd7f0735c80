"""Command ``cordrift store mend``: correct the artifact paths of a local MLflow store that was moved."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import StoreError, run
from .core.store.location import artifact_roots, find_location, mend_paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Correct the paths in the store of a workspace, or print that they are correct already."""
    parser = argparse.ArgumentParser(prog="cordrift store", description=__doc__)
    parser.add_argument("action", choices=["mend"])
    parser.add_argument("--workspace", type=Path, default=Path())
    options = parser.parse_args(arguments)
    location = find_location(options.workspace)
    if location.database is None:
        raise StoreError(
            f"MLflow at {location.name} is a server, which keeps its own paths: there is nothing to correct."
        )
    if not location.database.is_file():
        raise StoreError(f"There is no MLflow store at {location.database}; `dvc repro` creates one.")
    new = location.database.parent
    old = [root for root in artifact_roots(location.database) if root != str(new)]
    for root in old:
        count = mend_paths(location.database, root, new)
        print(f"{count} paths in {location.database} now lead to {new} instead of {root}.")
    if not old:
        print(f"The paths in {location.database} lead to {new} already.")


if __name__ == "__main__":
    run(main)
