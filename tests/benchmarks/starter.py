"""What the starter model does on generated people, large views and images without cord: the numbers of its model card.

With ``--real`` also on the six contrasts of ``../shared/real-cord``, which it has never been trained or tuned on. Each
such look is one more chance to choose by it: the model card says how often it was done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from stages.core.images.volumes import Volume, read  # noqa: E402
from stages.core.model.localisation.search import Search, make_search  # noqa: E402
from stages.core.model.segmentation.predictor import Predict, Predictor  # noqa: E402
from stages.core.model.segmentation.settings import Segment  # noqa: E402
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS, SIX  # noqa: E402
from stages.core.phantom.acquisition.grid import LARGE, Grid, Pose  # noqa: E402
from stages.core.phantom.acquisition.scanner import Scanner  # noqa: E402
from stages.core.phantom.anatomy.draw import draw_anatomy, extend_anatomy  # noqa: E402
from stages.core.phantom.anatomy.geometry import Anatomy  # noqa: E402
from stages.core.phantom.dataset.cohort import (  # noqa: E402
    COHORTS,
    SITES,
    anatomy_of,
    find_revision,
    generator_of,
    participants_of,
)
from stages.core.phantom.rendering.images import render_image  # noqa: E402
from stages.core.phantom.rendering.render import cord_occupancy, render_case  # noqa: E402
from stages.core.workspace.bundles.named import STARTER, find_bundle  # noqa: E402

REAL = ROOT / "../shared/real-cord"
#: Pieces of at most so many voxels are not counted.
SPECK = 8
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """One image: its name, and what was found in it."""

    contrast: str
    dice: float
    ratio: float
    pieces: int


def compare(found: Mask, soft: NDArray[np.floating], reference: Mask, contrast: str) -> Row:
    """Return Dice against a reference, and the volume relative to the true one (``soft``, shares of voxels)."""
    known = bool(reference.any())
    dice = 2 * float((found & reference).sum()) / int(found.sum() + reference.sum()) if known else float("nan")
    sizes = np.bincount(ndimage.label(found, np.ones((3, 3, 3)))[0].ravel())[1:]
    return Row(contrast, dice, float(found.sum() / soft.sum()) if known else float("nan"), int((sizes > SPECK).sum()))


@dataclass(frozen=True)
class Place:
    """Where the localiser looks: why it is unsure, the share of the cord in the region, and that of the image."""

    unsure: str
    inside: float
    share: float


def located(search: Search, volume: Volume, soft: NDArray[np.floating]) -> Place:
    """Return how much of the true cord lies in the region of the localiser, before the region grows."""
    region = search.locate(volume)
    return Place(region.unsure, float(soft[region.near].sum() / soft.sum()), float(region.near.mean()))


def people(predict: Predict, places: list[Place], search: Search) -> Iterator[Row]:
    """Segment the frozen people of the demo: six anatomies, six contrasts, native voxels, against the rater's mask."""
    cohort = COHORTS["demo"]
    frozen = [person for person in participants_of(cohort, find_revision(cohort, "r1")) if person.frozen]
    for person in tqdm(frozen, desc="people"):
        anatomy = anatomy_of(cohort, person)
        for name in SIX:
            rng = generator_of(cohort, person.participant, name)
            case = render_case(anatomy, PHANTOM_CONTRASTS[name], SITES[person.site], rng, view=cohort.view)
            volume = Volume(case.image.astype(np.float32), case.grid.affine)
            places.append(located(search, volume, case.soft))
            yield compare(predict(volume) >= 0.5, case.soft, case.rater == 1, name)


def large_views(predict: Predict, seeds: range, places: list[Place], search: Search) -> Iterator[Row]:
    """Segment large views: head, shoulders, air and 300 mm of cord, whole and from coarse to fine."""
    for seed in tqdm(seeds, desc="large views"):
        rng = np.random.default_rng([11, seed])
        anatomy = extend_anatomy(draw_anatomy(rng))
        grid = Grid.around(LARGE.extent_mm, (1.0, 1.0, 1.0), LARGE.centre_mm)
        soft = cord_occupancy(anatomy, grid, Pose())
        for name in ("T1w", "T2w"):
            image = render_image(anatomy, PHANTOM_CONTRASTS[name], grid, Pose(), Scanner("phantom"), rng)
            volume = Volume(image.astype(np.float32), grid.affine)
            places.append(located(search, volume, soft))
            yield compare(predict(volume) >= 0.5, soft, soft >= 0.5, f"large {name}, whole")
            yield compare(search(volume).soft >= 0.5, soft, soft >= 0.5, f"large {name}, coarse to fine")


def without_cord(search: Search) -> Iterator[tuple[str, int]]:
    """Segment images that show no cord as `cordrift segment` does, and yield the voxels that are taken for one."""
    rng = np.random.default_rng(3)
    anatomy = extend_anatomy(draw_anatomy(rng))
    for what, centre in {
        "head": (0.0, 20.0, 95.0),
        "shoulder": (120.0, 10.0, -130.0),
        "jaw": (30.0, 75.0, 0.0),
    }.items():
        for name in ("T1w", "T2w"):
            image = _render(anatomy, name, centre, rng)
            yield f"{what} {name}", int((search(image).soft >= 0.5).sum())
    noise = rng.rayleigh(50, (96, 96, 96)).astype(np.float32)
    yield "noise", int((search(Volume(noise, np.eye(4))).soft >= 0.5).sum())


def _render(anatomy: Anatomy, name: str, centre: tuple[float, float, float], rng: np.random.Generator) -> Volume:
    grid = Grid.around((80.0, 80.0, 60.0), (1.0, 1.0, 1.0), centre)
    image = render_image(anatomy, PHANTOM_CONTRASTS[name], grid, Pose(), Scanner("phantom"), rng)
    return Volume(image.astype(np.float32), grid.affine)


def real(search: Search) -> Iterator[Row]:
    """Segment the real participant as `cordrift segment` does; the mask of the dataset is the reference."""
    for image in tqdm(sorted(REAL.glob("sub-*/**/*.nii.gz")), desc="real"):
        name = image.name.removesuffix(".nii.gz")
        masks = sorted(REAL.glob(f"derivatives/labels/**/{name}_*seg*.nii.gz"))
        volume = read(image)
        found = search(volume).soft >= 0.5
        reference = read(masks[0]).data >= 0.5 if masks else np.zeros_like(found)
        yield compare(found, reference, reference, name.split("_", 1)[1] + ("" if masks else " (no reference)"))


def table(rows: list[Row]) -> str:
    """Return mean and smallest Dice, mean and range of the volume ratio, and most pieces, for every contrast."""
    lines = ["| contrast | images | Dice (smallest) | volume ratio (range) | most pieces |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row.contrast for row in rows):
        of = [row for row in rows if row.contrast == name]
        dice, ratio = np.array([row.dice for row in of]), np.array([row.ratio for row in of])
        lines.append(
            f"| {name} | {len(of)} | {dice.mean():.3f} ({dice.min():.3f}) | {ratio.mean():.3f} "
            f"({ratio.min():.3f}-{ratio.max():.3f}) | {max(row.pieces for row in of)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=STARTER)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2, help="large views of each contrast (default: %(default)s)")
    parser.add_argument("--real", action="store_true", help="also ../shared/real-cord: count each look")
    options = parser.parse_args()
    settings = Segment(
        datasets=[], contrasts=[], shards=[0], step=0.5, mirror=False, threshold=0.5, largest_component=False,
        coarse_to_fine=True, device="cpu", backend="openvino", threads=options.threads,
    )  # fmt: skip
    bundle = find_bundle(options.model)
    predict = Predictor(bundle, settings)
    search = make_search(bundle, settings)
    assert isinstance(search, Search)
    print(f"{options.model}, bundle {bundle.digest[:12]}; step 0.5, no mirroring, all pieces")
    places: list[Place] = []
    print(table(list(people(predict, places, search))))
    print(_told(places))
    for what, voxels in without_cord(search):
        print(f"no cord, {what}: {voxels} voxels")
    places = []
    print(table(list(large_views(predict, range(options.seeds), places, search))))
    print(_told(places))
    if options.real:
        print(table(list(real(search))))


def _told(places: list[Place]) -> str:
    sure = [place for place in places if not place.unsure]
    least = min((place.inside for place in sure), default=float("nan"))
    share = np.mean([place.share for place in sure])
    return (
        f"localiser: {len(places)} images, {len(places) - len(sure)} unsure; else at least {100 * least:.1f} % of the "
        f"cord lies in the region, which is {100 * share:.1f} % of the image\n"
    )


if __name__ == "__main__":
    main()
