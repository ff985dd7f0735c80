"""Time and memory of the ruler: a long fine mask, many masks one after the other, and a frozen set read from files.

The frozen set is six files, one a contrast, each read as often as there are participants: the files lie in the
operating system's cache, as they may not the first time.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ruler_native import SPACING_MM, discs_of
from support.rendering import Section, binarised, render

from stages.core.images.volumes import Volume, read, write
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume
from stages.core.tables.columns import METRICS

#: 200 slices of 0.8 mm, in a field of view of so many voxels.
SLICES, SPEED_MM, SPEED_SHAPE = 200, (0.8, 0.8, 0.8), (64, 320, 320)
#: Field of view of each contrast, voxels (the public multi-centre protocol's, roughly).
SHAPES = {
    "T1w": (192, 260, 320),
    "T2w": (64, 320, 320),
    "T2star": (448, 448, 15),
    "MTon": (192, 256, 22),
    "MToff": (192, 256, 22),
    "DWI": (176, 176, 15),
}
PEOPLE, REPEATS = 49, 15
#: The ruler with all its guards, on one core.
SLICE_MS = 0.2
#: METRICS asks for "seconds" without a number; four fifths of the time is reading, not measuring.
FROZEN_SET_S = 60.0
FEW, MANY = 5, 50


@dataclass(frozen=True)
class Goal:
    """A number and the most that it may be."""

    name: str
    found: float
    unit: str
    limit: float

    @property
    def passed(self) -> bool:
        return self.found <= self.limit


def speed(section: Section, params: Measure) -> list[Goal]:
    """All goals of time and memory; one core."""
    cord = render(section, SPEED_MM, SLICES, radius=300.0)
    discs = discs_of(cord)
    table = measure_volume(cord.volume, discs, params)
    # A time says nothing while a column is left out.
    empty = table.loc[table["scope"] == "slice", list(METRICS)].isna().all().sum()
    goals = [Goal(f"metrics left empty, of {len(METRICS)}", float(empty), "columns", 0.0)]
    for kind, mask in (("soft", cord.volume), ("binary", binarised(cord.volume))):
        for view, shape in (("cropped", mask.data.shape), ("full field of view", SPEED_SHAPE)):
            seconds = _median(padded(mask, shape), padded(discs, shape), params)
            name = f"{SLICES} slices of {SPEED_MM[2]} mm, {kind}, {view}, all metrics"
            goals.append(Goal(name, 1000.0 * seconds / SLICES, "ms/slice", SLICE_MS))
    with tempfile.TemporaryDirectory() as name:
        masks = _write(section, Path(name))
        few, many = (_peak(masks, count, params) for count in (FEW, MANY))
        goals.append(
            Goal(f"peak memory of {MANY} volumes over that of {FEW} ({few:.0f} MiB)", many / few, "times", 1.05)
        )
        started = time.perf_counter()
        for _ in range(PEOPLE):
            for mask, discs_file in masks:
                measure_volume(read(mask), read(discs_file), params)
        took = time.perf_counter() - started
    goals.append(
        Goal(f"{PEOPLE * len(SHAPES)} masks read from .nii.gz with their discs, and measured", took, "s", FROZEN_SET_S)
    )
    return goals


def padded(volume: Volume, shape: tuple[int, ...]) -> Volume:
    """The volume in the middle of zeros of a larger shape (never smaller than it is)."""
    far = [max(size - old, 0) for size, old in zip(shape, volume.data.shape, strict=True)]
    return Volume(np.pad(volume.data, [(extra // 2, extra - extra // 2) for extra in far]), volume.affine)


def _median(mask: Volume, discs: Volume, params: Measure) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        measure_volume(mask, discs, params)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def _write(section: Section, folder: Path) -> list[tuple[Path, Path]]:
    """A binary mask and its discs at each contrast's resolution and field of view."""
    files = []
    for contrast, shape in SHAPES.items():
        spacing = SPACING_MM[contrast]
        cord = render(section, spacing, min(shape[2], round(150.0 / spacing[2])), radius=300.0)
        pair = folder / f"{contrast}_mask.nii.gz", folder / f"{contrast}_discs.nii.gz"
        for path, volume in zip(pair, (binarised(cord.volume), discs_of(cord)), strict=True):
            write(path, padded(volume, shape).data.astype(np.uint8), volume.affine)
        files.append(pair)
    return files


def _peak(masks: list[tuple[Path, Path]], count: int, params: Measure) -> float:
    """Most MiB held at once while ``count`` volumes of one kind are read and measured one after the other."""
    mask, discs = masks[1]
    tracemalloc.start()
    for _ in range(count):
        measure_volume(read(mask), read(discs), params)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20
