"""Compare the training data of two models: revisions, participants, images, and the change of each case.

A version is a number, label, alias or digest of a model in MLflow, the folder of a bundle, or a manifest of prepare.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.base.files import write_csv
from .core.model.lineage.difference import difference, difference_table
from .core.model.lineage.text import difference_lines
from .core.store.training_data import find_training_data


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the difference; with ``--csv`` also write every case that changed to a table."""
    parser = argparse.ArgumentParser(prog="cordrift diff-data", description=__doc__)
    parser.add_argument("before", metavar="V1")
    parser.add_argument("after", metavar="V2")
    parser.add_argument("--csv", type=Path, metavar="OUT.csv", help="write every case that changed to this table")
    parser.add_argument("--model", help="registered model (default: register.model of params.yaml)")
    options = parser.parse_args(arguments)
    old_name, old = find_training_data(options.before, options.model)
    new_name, new = find_training_data(options.after, options.model)
    changes = difference(old, new)
    if options.csv is not None:
        write_csv(options.csv, difference_table(changes))
    print("\n".join(difference_lines(old, new, changes, (old_name, new_name))))


if __name__ == "__main__":
    run(main)
