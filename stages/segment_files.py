"""Segment images of your own: any NIfTI, in any folder, with a bundle; with --measure also measure the masks.

Masks get a sidecar that names the model, the settings and the image. Run again, the command does only the rest.
Without images `cordrift segment` runs the stage of the pipeline, on the same code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import ImageError, SettingsError, run
from .core.base.params import validate
from .core.measures.own_masks.measurement import one_each
from .core.measures.own_masks.page import write_page
from .core.measures.own_masks.segmented import measure_segmented
from .core.model.localisation.search import make_search
from .core.model.own_images.batch import PAGE, TABLE, Job, segment_images
from .core.model.own_images.layout import stems_of
from .core.model.segmentation.predictor import inference_digest
from .core.model.segmentation.settings import FAST, Segment
from .core.model.spread.cluster import NONE
from .core.workspace.bundles.listed import as_table, list_models
from .core.workspace.bundles.named import default_model, find_bundle


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cordrift segment",
        description=__doc__,
        usage="cordrift segment IMAGE [IMAGE ...] [-o FOLDER] [--model MODEL] [option ...]",
    )
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="NIfTI file, 3-D")
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
        help="starter, folder or zip of a bundle, or MODEL@ALIAS in MLflow, e.g. cord@champion (default: data/package "
        "where it exists, else starter)",
    )
    parser.add_argument("--list-models", action="store_true", help="list the models that --model can name here")
    parser.add_argument("--soft", action="store_true", help="also write the probability of cord")
    parser.add_argument("--measure", action="store_true", help=f"measure the soft masks into FOLDER/{TABLE}")
    parser.add_argument(
        "--discs", nargs="+", type=Path, metavar="DISCS",
        help="disc labels for --measure: one for all images, or one for each (without: a row for each slice)",
    )  # fmt: skip
    parser.add_argument(
        "--whole", action="store_true", help="segment the whole image; without it a small network finds the cord first"
    )
    parser.add_argument("--qc", action="store_true", help=f"measure, and draw the masks on a page, FOLDER/{PAGE}")
    parser.add_argument("--force", action="store_true", help="replace masks that differ or were made by hand")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument(
        "--backend", choices=["openvino", "torch"], help="computes the network (default: openvino, on a GPU torch)"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: %(default)s)")
    parser.add_argument(
        "--scheduler", default=NONE, metavar="none|local|ADDRESS",
        help="local: as many processes as there are cores for; or a Dask scheduler (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--step", type=float, default=0.5, help="of the tiles, in parts of one (default: %(default)s)")
    parser.add_argument("--mirror", action="store_true", help="average over mirrored images: slower by 2 to 8 times")
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="from which a voxel is cord in the mask (default: %(default)s)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Segment the images that the arguments name. The exit status is 1 when one of them could not be segmented."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.list_models:
        print(as_table(list(list_models())))
        return
    if not options.images:
        parser.error("name at least one IMAGE (or --list-models)")
    if options.discs and not (options.measure or options.qc):
        raise SettingsError("--discs is for --measure and --qc, of which none is given.")
    block = {name: getattr(options, name) for name in ("step", "mirror", "threshold", "device", "threads", "scheduler")}
    block |= {
        "backend": options.backend or FAST[options.device],
        "datasets": [],
        "contrasts": [],
        "shards": [0],
        "largest_component": True,
        "coarse_to_fine": not options.whole,
    }
    settings: Segment = validate(Segment, block, "options of cordrift segment", error=SettingsError)
    stems = stems_of(options.images)
    discs = one_each(options.discs, options.images, "--discs")
    model = options.model or default_model()
    bundle = find_bundle(model)
    series = {"bundle": bundle.digest, "inference": inference_digest(settings)}
    soft = options.soft or options.measure or options.qc
    job = Job(
        options.output, series, settings.threshold, soft, options.force,
        bundle.regions, settings.scheduler, settings.threads,
    )  # fmt: skip
    done = segment_images(options.images, stems, job, lambda: make_search(bundle, settings))
    for one in done:
        for sentence in filter(None, (*one.warnings, *one.doubts, one.lack)):
            _warn(sentence)
    if options.measure or options.qc:
        said, cards = measure_segmented(done, discs, options.output, _warn, draw=options.qc)
        print(said)
        if options.qc:
            write_page(options.output / PAGE, f"{model}, bundle {bundle.digest[:12]}", cards)
            print(f"segment: look at the masks in {options.output / PAGE}")
    elif (options.output / TABLE).exists():
        print(f"segment: {options.output / TABLE} is of an earlier run; --measure measures again")
    failed = sum(bool(one.problem) for one in done)
    kept = sum(one.kept for one in done)
    print(f"segment: {len(done) - failed} of {len(done)} images segmented, {kept} of them before ({options.output})")
    print(f"segment: by {model}, bundle {bundle.digest[:12]}")
    if failed:
        raise ImageError(f"{failed} of {len(done)} images could not be segmented; the lines above say why.")


def _warn(sentence: str) -> None:
    print(f"cordrift: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
