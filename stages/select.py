"""Rank the drafts of a dataset for a person's eyes, where there is not time for all of them.

The page of `cordrift annotate` then begins with the chosen ones, in their order. Drafts that are not looked at are used
for nothing. By uncertainty: what the model doubts. By coverage: what is least like the training data and each other.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .core.annotation.drafts.work import open_work
from .core.annotation.review.items import SELECTION, items_of, page_of
from .core.annotation.review.page import write_review_page
from .core.annotation.selection.candidates import drafts_to_rank
from .core.annotation.selection.ranking import COVERAGE, RANDOM, UNCERTAINTY, rank_images
from .core.base.errors import SettingsError, run
from .core.base.files import write_csv
from .core.data.clones.fetch import fetch_selected
from .core.data.datasets.image_features import FEATURES, read_features
from .core.data.datasets.manifest import SYNTHETIC, read_manifest
from .core.data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from .core.data.datasets.selection import select_unmasked

CHECKED = Path("data/check")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the table of the selection, and the page again."""
    parser = argparse.ArgumentParser(prog="cordrift select", description=__doc__)
    parser.add_argument("dataset", help="an entry of data/datasets.yaml with drafts of `cordrift annotate`")
    parser.add_argument("--budget", type=int, required=True, help="number of images to look at")
    parser.add_argument("--by", choices=[UNCERTAINTY, COVERAGE, RANDOM], default=RANDOM, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random order (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.budget < 1 or options.seed < 0:
        raise SettingsError(f"--budget is {options.budget} and --seed {options.seed}; expected at least 1 and 0.")
    name = options.dataset
    dataset, frozen = entry(load_registry(REGISTRY), name), read_frozen(FROZEN)
    manifest = fetch_selected(name, dataset, lambda tree: select_unmasked(name, dataset, frozen, tree), 2, print)
    with open_work(name, dataset) as work:
        drafts = drafts_to_rank(work, manifest, print, features=options.by == COVERAGE)
        training = _training() if options.by == COVERAGE else pd.DataFrame()
        chosen = rank_images(drafts, training, options.by, options.budget, options.seed)
        write_csv(page_of(name).with_name(SELECTION), chosen)
        write_review_page(page_of(name), name, dataset.url, items_of(work, manifest, print))
    counts = ", ".join(f"{count} {contrast}" for contrast, count in sorted(Counter(chosen["contrast"]).items()))
    print(f"select: {len(chosen)} of {len(drafts)} drafts by {options.by} ({counts}); {page_of(name)} begins with them")


def _training() -> pd.DataFrame:
    """Return the features of the training images of this workspace, as far as `dvc repro` has checked them."""
    found = [read_manifest(path) for path in sorted(Path("data/fetch").glob("*.json"))]
    ready = [one for one in found if one.role == "train" and (CHECKED / one.dataset / FEATURES).is_file()]
    if not ready:
        print("select: no training data were checked here yet (`dvc repro check`), so that images count by each other")
        return pd.DataFrame()
    table = read_features(CHECKED, ready)
    return table[table["contrast"] != SYNTHETIC]


if __name__ == "__main__":
    run(main)
