"""Take over what people decided on the page of `cordrift annotate`, and the masks that they corrected.

Masks that passed are committed as reviewed. Images that failed are excluded in the registry, with the reason. Masks to
fix are laid out in a folder for a viewer; `--corrected` takes them back, with checks. `--pin` makes all reviewed masks
the next revision of the dataset.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .core.annotation.acceptance.revision import next_revision
from .core.annotation.acceptance.session import Wanted, take_over
from .core.annotation.drafts.work import open_work
from .core.annotation.review.items import items_of, page_of
from .core.annotation.review.marks import Review, merge, read_review
from .core.annotation.review.page import write_review_page
from .core.base.errors import DatasetError, SettingsError, run
from .core.data.clones.fetch import fetch_selected
from .core.data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from .core.data.datasets.selection import select_unmasked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordrift accept-masks", description=__doc__)
    parser.add_argument("dataset", help="an entry of data/datasets.yaml with the role train")
    parser.add_argument(
        "reviews", nargs="*", type=Path, metavar="qc.yml", help="what the page exported; several people may have looked"
    )
    parser.add_argument("--corrected", action="store_true", help="take the corrected masks of the worklist")
    parser.add_argument("--reviewer", help="who corrected them")
    parser.add_argument("--confirm", action="store_true", help="take corrected masks also where they are in doubt")
    parser.add_argument(
        "--unseen-below", type=float, metavar="BITS", help="accept unseen what nobody looked at and has an uncertainty "
        "of at most BITS and no doubt, if the drafts that people looked at show that few of these are wrong",
    )  # fmt: skip
    parser.add_argument(
        "--most-wrong",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="largest share of wrong masks that is allowed, at 95 %% confidence (default: %(default)s)",
    )
    parser.add_argument("--pin", action="store_true", help="make the reviewed masks the next revision of the dataset")
    parser.add_argument("--tag", help="name of that revision (default: the present one with the next number)")
    parser.add_argument(
        "--label", help="name of the next model version (default: the present one with the next number)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Accept, then pin where it is asked. The exit status is 1 where something was refused or is in conflict."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not (options.reviews or options.corrected or options.pin or options.unseen_below is not None):
        parser.error("name a qc.yml, or give --corrected, --unseen-below or --pin")
    if options.corrected and not options.reviewer:
        raise SettingsError("--corrected needs --reviewer NAME: the name stands beside each mask.")
    if options.unseen_below is not None and not options.unseen_below > 0:
        raise SettingsError(f"--unseen-below is {options.unseen_below}; expected bits per voxel of cord, above 0.")
    if not 0 < options.most_wrong < 1:
        raise SettingsError(f"--most-wrong is {options.most_wrong}; expected a share between 0 and 1, such as 0.05.")
    name, folder = options.dataset, page_of(options.dataset).parent / "fix"
    reviews = [_review(path, name) for path in options.reviews]
    agreed, conflicts = merge(reviews)
    looked_at = frozenset(mark.image for review in reviews for mark in review.images)
    refused = [str(conflict) for conflict in conflicts]
    dataset, frozen = entry(load_registry(REGISTRY), name), read_frozen(FROZEN)
    reviewer = options.reviewer if options.corrected else ""
    wanted = Wanted(agreed, looked_at, reviewer, options.confirm, options.unseen_below, options.most_wrong)
    with open_work(name, dataset) as work:
        if options.reviews or options.corrected or options.unseen_below is not None:
            manifest = fetch_selected(
                name, dataset, lambda tree: select_unmasked(name, dataset, frozen, tree), 2, print
            )
            now = datetime.now(UTC).isoformat(timespec="seconds")
            work, more = take_over(work, manifest, wanted, folder, now, print)
            refused += more
        if options.pin:
            next_revision(Path(), work, options.tag, options.label, print)
        else:
            write_review_page(page_of(name), name, dataset.url, items_of(work, manifest, print))
    for sentence in refused:
        print(f"cordrift: {sentence}")
    if refused:
        raise DatasetError(
            f"not everything was taken ({len(refused)}): the lines above say what and why. The rest was taken."
        )


def _review(path: Path, name: str) -> Review:
    """Read a review and make sure that it is of the dataset."""
    review = read_review(path)
    if review.dataset != name:
        raise SettingsError(f"{path} is of the dataset {review.dataset!r}, not of {name!r}.")
    return review


if __name__ == "__main__":
    run(main)
