"""What becomes of a model that is trained on its own uncorrected masks, again and again, where the truth is known.

Generation 0 is trained on true masks. Before each later one, the model before it segments the training images, and a
share of the participants gets these masks in the place of the true ones. The same people and the same seed of the
training in all generations of a line. Printed and kept in a table: Dice, bias of the CSA at C2-C3, CSA STD over
contrasts, and the width of the boundary, on frozen people. Not a test: run it with ``make bench-recursive``; a second
run goes on where the first one stopped. By default it takes hours.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.arms import CONTRASTS, Arms, append_row  # noqa: E402

from stages.core.base.files import read_csv  # noqa: E402
from stages.core.images.volumes import read  # noqa: E402

MEASURED = ("dice", "csa_bias_mm2", "csa_std_mm2", "boundary_mm")


def line(arms: Arms, seed: int, share: float, generations: int, epochs: int, table: Path) -> None:
    """Train one line: a seed and a share of self-labels, one generation after the other."""
    rng = np.random.default_rng(seed)
    people = rng.permutation(arms.people)[: round(share * len(arms.people))]
    images = [(person, contrast) for person in people for contrast in CONTRASTS]
    labels = arms.folder / f"labels/{seed}-{share:g}"
    for generation in range(generations + 1):
        drafts = labels / str(generation)
        if generation == 0 or not _has(table, seed, share, generation) or not (drafts / "done").is_file():
            masks = {} if generation == 0 else _masks(labels / str(generation - 1), arms, images)
            start = time.monotonic()
            arms.train(seed, epochs, commit=arms.with_masks(masks) if masks else "")
            if not _has(table, seed, share, generation):
                row = {"seed": seed, "share": share, "generation": generation, "own_masks": len(masks)}
                append_row(table, row | arms.numbers() | {"seconds": round(time.monotonic() - start)})
            if generation < generations:
                arms.segment(images, drafts)
                (drafts / "done").touch()


def _masks(folder: Path, arms: Arms, images: list[tuple[str, str]]) -> dict[tuple[str, str], np.ndarray]:
    """Return the masks of the generation before; an image in which it found no cord keeps the true one."""
    found = arms.found(images, folder)
    masks = {image: read(path).data >= 0.5 for image, path in found.items()}
    return {image: mask for image, mask in masks.items() if mask.any()}


def _has(table: Path, seed: int, share: float, generation: int) -> bool:
    if not table.is_file():
        return False
    rows = read_csv(table)
    return bool(((rows["seed"] == seed) & (rows["share"] == share) & (rows["generation"] == generation)).any())


def main() -> None:
    """Train all lines, and print the means over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "data/scratch/recursive", help="(default: %(default)s)")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0], help="of the people")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(default: %(default)s)")
    parser.add_argument("--generations", type=int, default=4, help="after generation 0 (default: %(default)s)")
    parser.add_argument("--people", type=int, default=8, help="to train on (default: %(default)s)")
    parser.add_argument("--frozen", type=int, default=4, help="to measure on (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=24, help="of 25 steps (default: %(default)s)")
    options = parser.parse_args()
    arms = Arms(options.folder, options.people, options.frozen)
    table = options.folder / "recursive.csv"
    for seed in options.seeds:
        for share in options.shares:
            line(arms, seed, share, options.generations, options.epochs, table)
    rows = read_csv(table)
    means = rows.groupby(["share", "generation"])[list(MEASURED)].agg(["mean", "std"])
    with pd.option_context("display.width", 200, "display.float_format", "{:.3f}".format):
        print(f"\n{len(options.seeds)} seeds, {options.people} people, {options.frozen} frozen: mean and SD over seeds")
        print(means.to_string())
    print(f"\n{rows['seconds'].sum() / 3600:.1f} h for {len(rows)} trainings; {table}")


if __name__ == "__main__":
    main()
