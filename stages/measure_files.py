"""Measure spinal-cord masks: CSA and shape per slice, per vertebral level and over a range of levels.

Without arguments `cordrift measure` runs the stage of the pipeline. With masks it measures these, with the same ruler.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .core.base.errors import ImageError, SettingsError, run
from .core.base.files import write_csv
from .core.base.params import validate
from .core.measures.morphometry.levels import parse_range
from .core.measures.morphometry.settings import Measure
from .core.measures.own_masks.batch import RULER, Order, measure_batch, refuse_existing
from .core.measures.own_masks.measurement import Labels, one_each, picture_name
from .core.measures.own_masks.result import result
from .core.tables.change import change_over_time


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cordrift measure",
        description=__doc__,
        usage="cordrift measure MASK [MASK ...] -o OUT.csv [--discs DISCS ... | --levels-map MAP ...] [option ...]",
    )
    parser.add_argument("masks", nargs="*", type=Path, metavar="MASK", help="NIfTI, values in [0, 1], soft or binary")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT.csv", help="table to write")
    parser.add_argument("--force", action="store_true", help="replace the table, and the other files, where they exist")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--discs", nargs="+", type=Path, metavar="DISCS", help="disc labels: one for all masks, or one for each"
    )
    where.add_argument(
        "--levels-map", nargs="+", type=Path, metavar="MAP", help="maps of vertebral levels, in the same way"
    )
    parser.add_argument("--match-world", action="store_true", help="bring labels of another grid to the mask's")
    parser.add_argument("--levels", metavar="RANGE", help="vertebrae such as C2-C3 (the range's default), C4 or C7-T1")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--per-slice", action="store_true", help="a row for each slice instead of the range")
    rows.add_argument("--per-level", action="store_true", help="a row for each vertebra instead of the range")
    rows.add_argument("--pam50", action="store_true", help="a row for each slice of the PAM50 template, C2 to T11")
    parser.add_argument(
        "--coverage",
        type=float,
        default=RULER["coverage"],
        help="least part of a range that must be covered (default: %(default)s)",
    )
    parser.add_argument(
        "--stiffness-mm",
        type=float,
        default=RULER["stiffness_mm"],
        help="stiffness of the centreline (default: %(default)s)",
    )
    parser.add_argument(
        "--change", type=Path, metavar="CHANGE.csv", help="table of each person's change from the first session on"
    )
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw a picture of each mask into this folder")
    parser.add_argument(
        "--images", nargs="+", type=Path, metavar="IMAGE", help="images under the pictures: one for each mask"
    )
    return parser


def _params(options: argparse.Namespace, scope: str) -> Measure:
    """Return the parameters of the ruler; refuse options that do not go together."""
    labelled = options.discs or options.levels_map
    if not options.masks:
        option = "--discs" if options.discs else "--levels-map" if options.levels_map else "--images"
        took = labelled or options.images or []
        raise SettingsError(
            "no mask is named; name the masks first: cordrift measure MASK ... -o OUT.csv --discs DISCS ..."
            + (f" ({option} took {', '.join(map(str, took))})." if took else ".")
        )
    if options.output.suffix != ".csv":
        raise SettingsError(f"the table must be named .csv, not {options.output}.")
    if labelled is None and (scope != "slice" or options.levels):
        raise SettingsError(
            "which slices are which vertebra is not known: give --discs or --levels-map, or --per-slice."
        )
    if options.change and scope != "range":
        raise SettingsError("--change compares the range of sessions: leave --per-slice, --per-level and --pam50 out.")
    levels = parse_range(options.levels or "C2-C3")
    block = {"levels": levels, "coverage": options.coverage, "stiffness_mm": options.stiffness_mm}
    params: Measure = validate(Measure, block, "options of cordrift measure", error=SettingsError)
    return params


def main(argv: list[str] | None = None) -> None:
    """Measure the files that the arguments name. The exit status is 1 when one of them could not be measured."""
    options = _parser().parse_args(argv)
    scope = "slice" if options.per_slice else "level" if options.per_level else "pam50" if options.pam50 else "range"
    params = _params(options, scope)
    labels = [
        None if path is None else Labels(path, options.levels_map is not None, options.match_world)
        for path in one_each(options.discs or options.levels_map, options.masks, "--discs or --levels-map")
    ]
    drawn = range(len(options.masks)) if options.figures else ()
    pictures = [options.figures / picture_name(options.masks, number) for number in drawn]
    if not options.force:
        refuse_existing([options.output, *([options.change] if options.change else []), *pictures])
    images = one_each(options.images, options.masks, "--images")
    only_levels = params.levels if options.levels else None
    order = Order(options.masks, labels, images, pictures, scope, only_levels)
    batch = measure_batch(order, params, lambda sentence: print(f"cordrift: {sentence}", file=sys.stderr))
    masks, table = len(batch.files), batch.table
    if batch.failed == masks:
        raise ImageError(f"none of {masks} masks could be measured; {options.output} was not written.")
    write_csv(options.output, table)
    if options.change:
        write_csv(options.change, change_over_time(table[(table["scope"] == "range") & (table["participant"] != "")]))
    print(result(batch.files))
    print(f"measure: {masks - batch.failed} of {masks} masks measured ({options.output})")
    if batch.failed:
        raise ImageError(f"{batch.failed} of {masks} masks could not be measured: their rows are flagged failed.")
    if batch.undrawn:
        raise ImageError(f"{batch.undrawn} of {masks} pictures could not be drawn; {options.output} is whole.")


if __name__ == "__main__":
    run(main)
