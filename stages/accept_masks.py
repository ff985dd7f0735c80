"""Take over what people decided on the page of `cordrift annotate`, and the masks that they corrected.

Masks that passed are committed as reviewed. Images that failed are excluded in the registry, with the reason. Masks to
fix are laid out in a folder for a viewer; `--corrected` takes them back, with checks. `--pin` makes all reviewed masks
the next revision of the dataset.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from .core.annotation.acceptance.accept import accept
from .core.annotation.acceptance.revision import exclude_images, next_revision
from .core.annotation.acceptance.worklist import TABLE, take_corrected, write_worklist
from .core.annotation.drafts.work import open_work
from .core.annotation.review.items import items_of, page_of
from .core.annotation.review.marks import merge, read_review
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
    if not (options.reviews or options.corrected or options.pin):
        parser.error("name a qc.yml, or give --corrected or --pin")
    if options.corrected and not options.reviewer:
        raise SettingsError("--corrected needs --reviewer NAME: the name stands beside each mask.")
    name, folder = options.dataset, page_of(options.dataset).parent / "fix"
    reviews = [read_review(path) for path in options.reviews]
    for path, review in zip(options.reviews, reviews, strict=True):
        if review.dataset != name:
            raise SettingsError(f"{path} is of the dataset {review.dataset!r}, not of {name!r}.")
    agreed, conflicts = merge(reviews)
    refused = [str(conflict) for conflict in conflicts]
    dataset, frozen = entry(load_registry(REGISTRY), name), read_frozen(FROZEN)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with open_work(name, dataset) as work:
        if options.reviews or options.corrected:
            manifest = fetch_selected(
                name, dataset, lambda tree: select_unmasked(name, dataset, frozen, tree), 2, print
            )
            done = accept(work, agreed)
            exclude_images(REGISTRY, name, done.failed)
            work = replace(work, dataset=entry(load_registry(REGISTRY), name))
            laid_out = write_worklist(folder, work, manifest, done.to_fix) if done.to_fix else 0
            refused += done.refused
            if options.reviews:
                print(
                    f"accept-masks: {len(done.passed)} passed, {len(done.failed)} failed and excluded in {REGISTRY}, "
                    f"{len(done.to_fix)} to fix, {len(done.before)} decided before"
                )
            if laid_out:
                print(f"accept-masks: {laid_out} masks to correct lie in {folder}; see {TABLE} and commands.txt there")
        if options.corrected:
            fixed = take_corrected(folder, work, manifest, options.reviewer, now, confirmed=options.confirm)
            refused += [*fixed.refused, *(f"{text} Look again, then --confirm." for text in fixed.doubtful)]
            print(f"accept-masks: {len(fixed.taken)} corrected masks taken, {len(fixed.waiting)} not corrected yet")
        if options.pin:
            next_revision(Path(), work, options.tag, options.label, print)
        elif options.reviews or options.corrected:
            write_review_page(page_of(name), name, dataset.url, items_of(work, manifest, print))
    for sentence in refused:
        print(f"cordrift: {sentence}")
    if refused:
        raise DatasetError(f"{len(refused)} marks or masks were not taken; the lines above say why. The others were.")


if __name__ == "__main__":
    run(main)
