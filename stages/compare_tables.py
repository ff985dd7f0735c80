"""Compare two tables of measures of the same people: what moved from OLD to NEW, by how much, and how surely.

A table is measures.csv, the output of `cordrift measure MASK ...`, or that of sct_process_segmentation (one row for
each mask, level or slice; a folder stands for all its .csv files). No workspace is needed. The statistics are those of
the drift report, with OLD in the place of champion and anchor.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .core.base.errors import SettingsError, run
from .core.base.files import whole_folder, write_csv
from .core.data.datasets.people import people_of_table
from .core.drift.judgement.two_tables import TwoTables, compare_tables
from .core.drift.record.record import write_drift
from .core.drift.rule.settings import Compare, rule_at_hand
from .core.measures.morphometry.levels import parse_range, range_name
from .core.measures.published.any_table import read_any
from .core.reports.drift_report.two_tables import draw, say


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparison, and write its tables and figures where a folder is named."""
    parser = argparse.ArgumentParser(prog="cordrift compare-tables", description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD", help="a CSV file, or a folder of them")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser.add_argument("--levels", default="C2-C3", metavar="RANGE", help="vertebrae (default: %(default)s)")
    parser.add_argument("--old-masks", default="", metavar="TEXT", help="count masks whose file name contains this")
    parser.add_argument("--new-masks", default="", metavar="TEXT")
    parser.add_argument("--participants", type=Path, metavar="TSV", help="participants.tsv, for sites and groups")
    parser.add_argument(
        "--params", type=Path, metavar="YAML", help="its block `compare` is the rule (default: params.yaml, if any)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write tables and figures into this folder")
    options = parser.parse_args(arguments)
    if options.output and options.output.exists():
        raise SettingsError(f"{options.output} exists already; name a folder that does not, or remove it.")
    levels, rule = range_name(parse_range(options.levels)), Compare.read(options.params or rule_at_hand())
    old, new = (
        read_any(path, levels, rule.primary.kind, masks)
        for path, masks in ((options.old, options.old_masks), (options.new, options.new_masks))
    )
    people = None
    if options.participants:
        people = people_of_table(options.participants, pd.concat([old.measures, new.measures]))
    found = compare_tables(old, new, levels, rule, people)
    print(say(found, old, new))
    if options.output:
        _write(options.output, found)
        print(f"\nTables and figures: {options.output}")


def _write(folder: Path, found: TwoTables) -> None:
    with whole_folder(folder) as part:
        for name, table in found.comparison.tables().items():
            write_csv(part / f"{name}.csv", table)
        write_drift(part / "drift.json", found.comparison.drift)
        for name, png in draw(found).items():
            (part / f"{name}.png").write_bytes(png)


if __name__ == "__main__":
    run(main)
