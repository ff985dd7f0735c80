"""Measure spinal-cord masks: CSA and shape per slice, per vertebral level and over a range of levels.

With no argument `cordrift measure` is the pipeline's stage. With masks it measures these, with the same ruler.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from .core.base.errors import CordriftError, run
from .core.base.files import write_csv
from .core.base.params import validate
from .core.measures.morphometry.levels import parse_range
from .core.measures.morphometry.settings import Measure
from .core.measures.own_masks.measurement import Labels, chosen, draw, measure_files, one_each, picture_name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordrift measure", description=__doc__)
    parser.add_argument("masks", nargs="+", type=Path, metavar="MASK", help="NIfTI, values in [0, 1], soft or binary")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT.csv", help="table to write")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--discs", nargs="+", type=Path, metavar="DISCS", help="disc labels: one for all, or one a mask")
    where.add_argument("--levels-map", nargs="+", type=Path, metavar="MAP", help="maps of vertebral levels, likewise")
    parser.add_argument("--match-world", action="store_true", help="bring labels of another grid to the mask's")
    parser.add_argument("--levels", metavar="RANGE", help="vertebrae such as C2-C3 (the range's default), C4 or C7-T1")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--per-slice", action="store_true", help="a row for each slice instead of the range")
    rows.add_argument("--per-level", action="store_true", help="a row for each vertebra instead of the range")
    rows.add_argument("--pam50", action="store_true", help="a row for each slice of the PAM50 template, C2 to T11")
    parser.add_argument("--coverage", type=float, default=0.5, help="least part of a range (default: %(default)s)")
    parser.add_argument("--stiffness-mm", type=float, default=4.0, help="of the centreline (default: %(default)s)")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw a picture of each mask into this folder")
    parser.add_argument("--images", nargs="+", type=Path, metavar="IMAGE", help="for the pictures: one a mask")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Measure the files that the arguments name; exit status 1 when one of them could not be measured."""
    options = _parser().parse_args(argv)
    where = options.discs or options.levels_map
    scope = "slice" if options.per_slice else "level" if options.per_level else "pam50" if options.pam50 else "range"
    if options.output.suffix != ".csv":
        raise CordriftError(f"the table must be named .csv, not {options.output}.")
    if where is None and (scope != "slice" or options.levels):
        raise CordriftError(
            "which slices are which vertebra is not known: give --discs or --levels-map, or --per-slice."
        )
    levels = parse_range(options.levels or "C2-C3")
    block = {"levels": levels, "coverage": options.coverage, "stiffness_mm": options.stiffness_mm}
    params: Measure = validate(Measure, block, "options of cordrift measure")
    labels = [
        None if path is None else Labels(path, options.levels_map is not None, options.match_world)
        for path in one_each(where, options.masks, "--discs or --levels-map")
    ]
    images = one_each(options.images, options.masks, "--images")
    tables, problems = [], 0
    measured = measure_files(options.masks, labels, params, template=scope == "pam50")
    for number, one in enumerate(tqdm(measured, total=len(labels), unit="mask", disable=None)):
        if one.problem:
            problems += 1
            print(f"cordrift: {one.problem}", file=sys.stderr)
        elif options.figures:
            draw(one, options.figures / picture_name(options.masks, number), images[number])
        tables.append(chosen(one, scope, levels if options.levels else None))
    if problems == len(tables):
        raise CordriftError(f"none of {problems} masks could be measured; {options.output} was not written.")
    write_csv(options.output, pd.concat(tables, ignore_index=True))
    if problems:
        raise CordriftError(f"{problems} of {len(tables)} masks could not be measured: their rows are flagged failed.")


if __name__ == "__main__":
    run(main)
