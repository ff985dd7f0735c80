"""Segment images of your own: any NIfTI, in any folder, with a bundle; with --measure also measure the masks.

Masks get a sidecar that names the model, the settings and the image. Run again, the command does only the rest.
Without images `cordrift segment` runs the stage of the pipeline, on the same code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .core.base.errors import ImageError, SettingsError, run
from .core.base.files import write_csv
from .core.base.params import validate
from .core.measures.morphometry.settings import Measure
from .core.measures.own_masks.batch import RULER, Order, measure_batch
from .core.measures.own_masks.measurement import Labels, one_each, picture_name, rows_of_scope, unmeasured
from .core.measures.own_masks.page import Card, write_page
from .core.measures.own_masks.result import result
from .core.model.own_images.batch import Job, Segmented, segment_images
from .core.model.own_images.layout import stems_of
from .core.model.segmentation.predictor import Predictor, inference_digest
from .core.model.segmentation.settings import Segment
from .core.workspace.bundles.named import find_bundle

#: The bundle that a workspace has packaged, and the names of table and page.
PACKAGE, TABLE, PAGE = Path("data/package"), "measures.csv", "index.html"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cordrift segment",
        description=__doc__,
        usage="cordrift segment IMAGE [IMAGE ...] [-o FOLDER] [--model MODEL] [option ...]",
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="NIfTI file, 3-D")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("masks"),
        metavar="FOLDER",
        help="for the masks (default: %(default)s)",
    )
    parser.add_argument(
        "--model",
        default=str(PACKAGE),
        help="folder or zip of a bundle, or MODEL@ALIAS in MLflow, e.g. cord@champion (default: %(default)s)",
    )
    parser.add_argument("--soft", action="store_true", help="also write the probability of cord")
    parser.add_argument("--measure", action="store_true", help=f"measure the soft masks into FOLDER/{TABLE}")
    parser.add_argument(
        "--discs", nargs="+", type=Path, metavar="DISCS",
        help="disc labels for --measure: one for all images, or one for each (without: a row for each slice)",
    )  # fmt: skip
    parser.add_argument("--qc", action="store_true", help=f"measure, and draw the masks on a page, FOLDER/{PAGE}")
    parser.add_argument("--force", action="store_true", help="replace masks of another model, image or hand")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: %(default)s)")
    parser.add_argument("--step", type=float, default=0.5, help="of the tiles, in parts of one (default: %(default)s)")
    parser.add_argument("--mirror", action="store_true", help="average over mirrored images: slower by 2 to 8 times")
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="from which a voxel is cord in the mask (default: %(default)s)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Segment the images that the arguments name. The exit status is 1 when one of them could not be segmented."""
    options = _parser().parse_args(argv)
    if options.discs and not (options.measure or options.qc):
        raise SettingsError("--discs is for --measure and --qc, of which none is given.")
    block = {name: getattr(options, name) for name in ("step", "mirror", "threshold", "device", "threads")}
    block |= {"datasets": [], "contrasts": [], "shards": [0], "largest_component": True}
    settings: Segment = validate(Segment, block, "options of cordrift segment", error=SettingsError)
    stems = stems_of(options.images)
    discs = one_each(options.discs, options.images, "--discs")
    bundle = find_bundle(options.model)
    series = {"bundle": bundle.digest, "inference": inference_digest(settings)}
    job = Job(options.output, series, settings.threshold, options.soft or options.measure or options.qc, options.force)
    done = segment_images(options.images, stems, job, lambda: Predictor(bundle, settings))
    for one in done:
        for sentence in one.warnings:
            print(f"cordrift: {sentence}", file=sys.stderr)
        if one.problem or one.empty:
            print(f"cordrift: {one.problem or f'{one.image}: no cord was found; its mask is empty.'}", file=sys.stderr)
    if options.measure or options.qc:
        cards = _measure(done, discs, options.output, draw=options.qc)
        if options.qc:
            write_page(options.output / PAGE, f"{options.model}, bundle {bundle.digest[:12]}", cards)
            print(f"segment: look at the masks in {options.output / PAGE}")
    elif (options.output / TABLE).exists():
        print(f"segment: {options.output / TABLE} is of an earlier run; --measure measures again")
    failed = sum(bool(one.problem) for one in done)
    kept = sum(one.kept for one in done)
    print(f"segment: {len(done) - failed} of {len(done)} images segmented, {kept} of them before ({options.output})")
    if failed:
        raise ImageError(f"{failed} of {len(done)} images could not be segmented; the lines above say why.")


def _measure(done: Sequence[Segmented], discs: Sequence[Path | None], folder: Path, *, draw: bool) -> list[Card]:
    """Measure the soft masks with the pipeline's ruler; return for each image what the page says of it.

    An image without a mask, or with an empty one, has a row in the table too: it is flagged ``failed``.
    """
    params: Measure = validate(Measure, RULER, "the ruler")
    scope = "range" if any(discs) else "slice"
    files = {
        one.image: unmeasured(one.masks["soft"], params, one.problem or "No cord was found; the mask is empty.")
        for one in done
        if one.problem or one.empty
    }
    found = [(one, disc) for one, disc in zip(done, discs, strict=True) if one.image not in files]
    tables = [rows_of_scope(file, scope, None) for file in files.values()]
    drawn: dict[Path, Path] = {}
    if found:
        masks = [one.masks["soft"] for one, _ in found]
        images = [one.image for one, _ in found]
        labels = [None if disc is None else Labels(disc, is_map=False, match_world=False) for _, disc in found]
        pictures = [folder / "figures" / picture_name(masks, number) for number in range(len(masks))] if draw else []
        order = Order(masks, labels, images, pictures, scope, None)
        batch = measure_batch(order, params, lambda sentence: print(f"cordrift: {sentence}", file=sys.stderr))
        files |= dict(zip(images, batch.files, strict=True))
        tables.append(batch.table)
        drawn = {image: path for image, path in zip(images, pictures, strict=False) if path.is_file()}
    write_csv(folder / TABLE, pd.concat(tables, ignore_index=True))
    everybody = [(one.image, files[one.image]) for one in done]
    print(result([file for _, file in everybody]))
    return [
        Card(str(image), file.problem or result([file]), drawn.get(image), bad=bool(file.problem))
        for image, file in everybody
    ]


if __name__ == "__main__":
    run(main)
