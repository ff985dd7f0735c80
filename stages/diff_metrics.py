"""Print every number of two metrics.json side by side, as a Markdown table.

``dvc metrics diff`` compares two revisions of one checkout; this command compares any two files.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import SettingsError, run
from .core.base.files import read_json
from .core.drift.record.metrics import metrics_difference


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="cordrift diff-metrics", description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD.json", help="a reports/compare/metrics.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    options = parser.parse_args(arguments)
    try:
        print(metrics_difference(read_json(options.old), read_json(options.new)))
    except ValueError as error:
        raise SettingsError(
            f"{options.old} and {options.new} cannot be compared: {error}; reports/compare/metrics.json is expected."
        ) from error


if __name__ == "__main__":
    run(main)
