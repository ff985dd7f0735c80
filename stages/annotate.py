"""Draft masks of all images of a dataset that have none, and write the page on which people check them.

The drafts are committed on a branch of their own in data/annotate/DATASET, each with a sidecar that says which model
made it. Nothing is trained on them before `cordrift accept-masks` has taken them over. A second run does the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from .core.annotation.drafts.draft import draft
from .core.annotation.drafts.work import open_work
from .core.annotation.review.items import items_of, page_of
from .core.annotation.review.page import write_review_page
from .core.base.errors import SettingsError, run
from .core.base.params import validate
from .core.data.clones.fetch import fetch_selected
from .core.data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from .core.data.datasets.selection import select_unmasked
from .core.model.segmentation.settings import FAST, Segment
from .core.workspace.bundles.named import default_model, find_bundle


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordrift annotate", description=__doc__)
    parser.add_argument("dataset", help="an entry of data/datasets.yaml with the role train")
    parser.add_argument(
        "--model",
        help="starter, folder or zip of a bundle, or MODEL@ALIAS in MLflow, e.g. cord@champion (default: data/package "
        "where it exists, else starter)",
    )
    parser.add_argument(
        "--model-for", action="append", default=[], metavar="NAME=MODEL",
        help="another model for the images of this contrast, or of participants with this pathology in "
        "participants.tsv; may be repeated. Of an image with both, the pathology decides",
    )  # fmt: skip
    parser.add_argument("--page-only", action="store_true", help="draft nothing, and write the page again")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: %(default)s)")
    parser.add_argument("--scheduler", default="none", metavar="none|local|ADDRESS", help="as of `cordrift segment`")
    parser.add_argument("--whole", action="store_true", help="segment whole images, without finding the cord first")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Draft, commit, and write the page."""
    options = _parser().parse_args(argv)
    block = {"datasets": [], "contrasts": [], "shards": [0], "step": 0.5, "mirror": False, "threshold": 0.5}
    block |= {"largest_component": True, "coarse_to_fine": not options.whole, "backend": FAST[options.device]}
    block |= {name: getattr(options, name) for name in ("device", "threads", "scheduler")}
    settings: Segment = validate(Segment, block, "options of cordrift annotate", error=SettingsError)
    wanted = {"": options.model or default_model()}
    for word in options.model_for:
        whose, equals, name = word.partition("=")
        if not (whose and equals and name):
            raise SettingsError(f"--model-for is {word!r}; expected NAME=MODEL, such as MS=cord@champion.")
        wanted[whose] = name
    name = options.dataset
    dataset = entry(load_registry(REGISTRY), name)
    frozen = read_frozen(FROZEN)
    manifest = fetch_selected(name, dataset, lambda tree: select_unmasked(name, dataset, frozen, tree), 2, print)
    with open_work(name, dataset) as work:
        if not options.page_only:
            bundles = {key: find_bundle(model) for key, model in wanted.items()}
            done = draft(work, manifest, bundles, settings, datetime.now(UTC).isoformat(timespec="seconds"), print)
            for lack in done.lacks:
                print(f"cordrift: no draft: {lack}")
            print(f"annotate: {done.new} new drafts, {done.kept} from before, {len(done.lacks)} images without one")
        items = items_of(work, manifest, print)
    if items:
        write_review_page(page_of(name), name, dataset.url, items)
        print(f"annotate: check {len(items)} masks on {page_of(name)}, then `cordrift accept-masks {name} qc.yml`")
    else:
        print(f"annotate: no mask of {name} waits for a decision")


if __name__ == "__main__":
    run(main)
