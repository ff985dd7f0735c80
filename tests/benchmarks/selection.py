"""Whether a clever choice of the images that people look at is better than a random one, at the same budget.

For each seed a first model is trained on two people. It drafts the masks of a pool of others; each way chooses as many
images of the pool, which get their true masks, and a model is trained on both. Printed: Dice and absolute CSA error on
frozen people, and the paired difference to the random choice over seeds with its 95 % interval. Not a test: run it with
``make bench-select``; a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.arms import CONTRASTS, Arms, append_row  # noqa: E402

from stages.core.annotation.drafts.draft import uncertainty  # noqa: E402
from stages.core.annotation.selection.ranking import COVERAGE, RANDOM, UNCERTAINTY, rank_images  # noqa: E402
from stages.core.base.files import read_csv  # noqa: E402
from stages.core.data.inspection.features import image_features  # noqa: E402
from stages.core.images.volumes import read  # noqa: E402
from stages.core.phantom.dataset.publish import paths_of  # noqa: E402

WAYS = (RANDOM, UNCERTAINTY, COVERAGE)
FIRST = "first model"
Image = tuple[str, str]


def described(arms: Arms, images: list[Image], soft: dict[Image, Path]) -> pd.DataFrame:
    """Return the table that the ranking takes, from drafts where there are some, else from the true masks."""
    rows = []
    for image in images:
        volume = read(arms.data / paths_of(*image).image)
        mask = read(soft[image] if image in soft else arms.data / paths_of(*image).binary).data
        row = {"image": "/".join(image), "mask_key": "", "contrast": image[1], "doubts": 0}
        row["uncertainty"] = uncertainty(mask) if image in soft else np.nan
        rows.append(row | image_features(volume, mask >= 0.5))
    return pd.DataFrame(rows)


def one_seed(arms: Arms, seed: int, budget: int, epochs: int, table: Path) -> None:
    """Train the first model of a seed, and then one by each way."""
    done = set(_rows(table, seed)["way"]) if table.is_file() else set()
    if done >= {FIRST, *WAYS}:
        return
    people = list(np.random.default_rng(seed).permutation(arms.people))
    start = [(person, contrast) for person in people[:2] for contrast in CONTRASTS]
    pool = [image for image in arms.images if image not in start]
    arms.train(seed, epochs, left_out=pool)
    if FIRST not in done:
        append_row(table, {"seed": seed, "way": FIRST} | arms.numbers())
    drafts = described(arms, pool, arms.segment(pool, arms.folder / f"drafts/{seed}"))
    trained = described(arms, start, {})
    for way in WAYS:
        if way not in done:
            chosen = {tuple(name.split("/")) for name in rank_images(drafts, trained, way, budget, seed)["image"]}
            arms.train(seed, epochs, left_out=[image for image in pool if image not in chosen])
            append_row(table, {"seed": seed, "way": way} | arms.numbers())


def _rows(table: Path, seed: int) -> pd.DataFrame:
    rows = read_csv(table, text=("way",))
    return rows[rows["seed"] == seed]


def main() -> None:
    """Train for all seeds and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "data/scratch/select", help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--budget", type=int, default=6, help="images (default: %(default)s)")
    parser.add_argument("--people", type=int, default=12, help="first ones and pool (default: %(default)s)")
    parser.add_argument("--frozen", type=int, default=4, help="to measure on (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=24, help="of 25 steps (default: %(default)s)")
    options = parser.parse_args()
    arms = Arms(options.folder, options.people, options.frozen)
    table = options.folder / "select.csv"
    for seed in range(1, options.seeds + 1):
        one_seed(arms, seed, options.budget, options.epochs, table)
    rows = read_csv(table, text=("way",))
    pool = 3 * (options.people - 2)
    print(f"\n{options.seeds} seeds, {options.budget} images of {pool}, {options.frozen} frozen people")
    for measure in ("dice", "csa_error_mm2"):
        wide = rows.pivot_table(index="seed", columns="way", values=measure)
        for way in (FIRST, *WAYS):
            gap = (wide[way] - wide[RANDOM]).dropna()
            text = ""
            if way not in (FIRST, RANDOM) and len(gap) > 1:
                low, high = stats.t.interval(0.95, len(gap) - 1, gap.mean(), stats.sem(gap))
                text = f"  against random {gap.mean():+.3f} ({low:+.3f} to {high:+.3f})"
            print(f"{measure:14s} {way:12s} {wide[way].mean():.3f}{text}")


if __name__ == "__main__":
    main()
