"""The ruler's accuracy on cords of known area, as METRICS.md tabulates it; its speed and its memory.

Not a test: run it with ``make bench-ruler``. It prints one row per goal, pooled over all slices, under the table the
volume with the largest error of each row, and ends with status 1 when a row misses its goal. Errors are in percent of
the truth. ``--quick`` takes every seventh volume of the sweep and leaves time and memory out; the test suite runs it.

Cords of 9 x 13 mm: an ellipse, a superellipse, an ellipse dented from the front and one dented from the side. Binary
masks are the occupancy at 0.5 (what cordrift writes) and, in rows of their own, the cord at the voxel's centre (what a
label is); both cut the same cords. "Added" is the ruler's area against the voxel sum times the true cosine: what the
centreline costs. "Ends" are the first and the last slice of each volume. METRICS' two limits for binary masks are both
taken as limits on the SD; the worst slice stands beside it. A diameter's truth is 4 sigma of the true section.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from ruler_native import native
from ruler_s_shaped import s_shaped
from ruler_speed import Goal, speed
from support.rendering import Cord, Section, binarised, dented, ellipse, render, superellipse

from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.csa import measure_sections
from stages.core.measures.morphometry.settings import Measure

ROOT = Path(__file__).parents[2]
Floats = NDArray[np.float64]
RL_MM, AP_MM = 6.5, 4.5
SHAPES: Mapping[str, Section] = {
    "ellipse": ellipse(RL_MM, AP_MM),
    "superellipse": superellipse(RL_MM, AP_MM, 2.5),
    "dented front": dented(RL_MM, AP_MM, 0.25, 0.5),
    "dented side": dented(RL_MM, AP_MM, 0.2, 0.6, side=20.0),
}
IN_PLANE_MM = [(s, s) for s in (0.3, 0.35, 0.4375, 0.5, 0.625, 0.84375, 1.0)] + [(0.84375, 0.5)]
SLICE_MM = (0.8, 1.0, 2.5, 5.0)
LENGTH_MM = {0.8: 40.0, 1.0: 45.0, 2.5: 50.0, 5.0: 60.0}
#: Degrees, right-left and front-back.
TILTS = [
    (0, 0),
    (10, 0),
    (0, 10),
    (20, 0),
    (0, 20),
    (25, 0),
    (0, 25),
    (10, 10),
    (20, 20),
    (25, 25),
    (10, 25),
    (-20, 15),
]
RADII_MM = (80.0, 100.0, 150.0)
#: Directions of the bends, degrees from the front to the right; the last leans until it reaches the steepest tilt.
BENDS = (0.0, 90.0, 30.0)
STEEPEST = 25.0
QUICK = 7
STATISTICS = ("bias", "SD", "worst")


@dataclass
class Row:
    """Errors (percent) of one quantity by volume, and the limits on their bias, SD and worst; none is information."""

    name: str
    goal: Mapping[str, float]
    errors: list[tuple[str, Floats]] = field(default_factory=list)

    def add(self, label: str, percent: Floats) -> None:
        self.errors.append((label, np.atleast_1d(percent)))

    def statistics(self) -> dict[str, float]:
        """Pooled over slices; ``worst`` keeps its sign."""
        pooled = np.concatenate([percent for _, percent in self.errors])
        return {"bias": pooled.mean(), "SD": pooled.std(), "worst": pooled[np.argmax(np.abs(pooled))]}

    def passed(self) -> bool:
        found = self.statistics()
        return all(abs(found[name]) <= limit for name, limit in self.goal.items())

    def worst(self) -> tuple[str, float, int]:
        """Label of the volume with the largest error, that error, and its place among the slices of the row."""
        label, percent = max(self.errors, key=lambda entry: float(np.abs(entry[1]).max()))
        at = int(np.argmax(np.abs(percent)))
        return label, float(percent[at]), at


def percent(measured: Floats, true: Floats) -> Floats:
    return np.asarray(100.0 * (measured / true - 1.0))


def sweep(quick: bool) -> Iterator[tuple[str, str, Cord]]:
    """Label, group ("straight" or "curved 80" and so on) and cord; every shape takes turns over the combinations."""
    shapes = list(SHAPES)
    paths: list[tuple[str, dict[str, Any]]] = [
        ("straight", {"tilt_rl": float(rl), "tilt_ap": float(ap)}) for rl, ap in TILTS
    ]
    paths += [
        (f"curved {radius:g}", {"radius": radius, "azimuth": azimuth}) for radius, azimuth in product(RADII_MM, BENDS)
    ]
    rng = np.random.default_rng(4)
    for number, ((group, path), slice_mm, pixel) in enumerate(product(paths, SLICE_MM, IN_PLANE_MM)):
        offset = tuple(np.round(rng.uniform(-0.5, 0.5, 2) * pixel, 3).tolist())
        if quick and number % QUICK:
            continue
        if path.get("azimuth") == BENDS[-1]:
            # The arc's lower end is as steep as METRICS' tilts go.
            path |= {"apex": round(path["radius"] * np.sin(np.radians(STEEPEST)) - LENGTH_MM[slice_mm] / 2, 1)}
        shape = shapes[(number + number // len(IN_PLANE_MM)) % len(shapes)]
        spacing = (*pixel, slice_mm)
        label = f"{shape}, {' x '.join(f'{s:g}' for s in spacing)} mm, "
        label += ", ".join(f"{key} {value:g}" for key, value in path.items()) + f", offset {offset}"
        yield label, group, render(SHAPES[shape], spacing, round(LENGTH_MM[slice_mm] / slice_mm), offset=offset, **path)


def accuracy(stiffness_mm: float, quick: bool) -> list[Row]:
    """Measure the sweep."""
    curved = [f"curved {radius:g}" for radius in RADII_MM]
    rows = {"rendering": Row("the test volumes' own rendering", {"worst": 0.005})}
    rows["total"] = Row("soft, straight, total", {"bias": 0.01, "SD": 0.03, "worst": 0.15})
    rows["added"] = Row("soft, straight, added", {"bias": 0.001, "SD": 0.005, "worst": 0.02})
    for group in curved:
        rows[f"{group} inside"] = Row(f"soft, {group} mm, inside", {"worst": 0.2})
        rows[f"{group} ends"] = Row(f"soft, {group} mm, ends", {"worst": 0.3})
    for kind in ("binary", "sampled"):
        for path in ("straight", "curved"):
            rows[f"{kind} {path} inside"] = Row(f"{kind}, {path}, added inside", {"SD": 0.15})
            rows[f"{kind} {path} ends"] = Row(f"{kind}, {path}, added at ends", {"SD": 0.7})
        rows[f"{kind} voxels"] = Row(f"{kind}, the mask's own voxelisation", {})
    for axis in ("RL", "AP"):
        rows[axis] = Row(f"diameter {axis}, soft, straight", {"bias": 0.3, "SD": 0.3})
    for label, group, cord in sweep(quick):
        path = group.split()[0]
        soft = measure_all(cord.volume, stiffness_mm)
        voxels = voxel_areas(cord.volume)
        # The slab of an arc holds a little more than area / cosine; its exact content is known (test_rendering.py).
        known = cord.truth_mm2 / cord.cosine if path == "straight" else cord.area_in_plane_mm2
        rows["rendering"].add(label, percent(voxels, known))
        total, added = percent(soft["csa_mm2"], cord.truth_mm2), percent(soft["csa_mm2"], voxels * cord.cosine)
        if path == "straight":
            rows["total"].add(label, total)
            rows["added"].add(label, added)
            for axis, true in zip(("RL", "AP"), cord.diameters_mm, strict=True):
                rows[axis].add(label, percent(soft[f"diameter_{axis.lower()}_mm"], np.array(true)))
        else:
            rows[f"{group} inside"].add(label, total[1:-1])
            rows[f"{group} ends"].add(label, total[[0, -1]])
        for kind, mask in (("binary", binarised(cord.volume)), ("sampled", cord.sampled)):
            voxels = voxel_areas(mask)
            added = percent(measure_all(mask, stiffness_mm)["csa_mm2"], voxels * cord.cosine)
            rows[f"{kind} {path} inside"].add(label, added[1:-1])
            rows[f"{kind} {path} ends"].add(label, added[[0, -1]])
            rows[f"{kind} voxels"].add(label, percent(voxels, cord.area_in_plane_mm2))
    rows |= bent_twice(stiffness_mm)
    return list(rows.values())


def bent_twice(stiffness_mm: float) -> dict[str, Row]:
    """Tubes along an S: the error against the true area of soft masks, and what the ruler adds to binary ones."""
    rows: dict[str, Row] = {}
    for label, lean, volume, true, cosine in s_shaped():
        mask = binarised(volume)
        for kind, found, known in (
            ("soft", volume, np.full(len(cosine), true)),
            ("binary, added", mask, voxel_areas(mask) * cosine),
        ):
            error = percent(measure_all(found, stiffness_mm)["csa_mm2"], known)
            for part, slices in (("inside", error[1:-1]), ("at ends", error[[0, -1]])):
                name = f"{kind}, S of {lean} degrees, {part}"
                rows.setdefault(name, Row(name, {})).add(label, slices)
    return rows


def voxel_areas(mask: Volume) -> Floats:
    px, py, _ = mask.spacing_mm
    return np.asarray(px * py * mask.data.sum(axis=(0, 1), dtype=float))


def measure_all(mask: Volume, stiffness_mm: float) -> dict[str, Floats]:
    """Metrics of a mask that has cord in every slice."""
    sections = measure_sections(mask, stiffness_mm=stiffness_mm)
    if len(sections.index) != mask.data.shape[2]:
        raise RuntimeError("a slice of the test volume was not measured")
    return sections.metrics


def show(rows: list[Row]) -> None:
    """Print the table and what was worst in each row."""
    print(f"{'':42}{'slices':>8}{'bias %':>10}{'SD %':>10}{'worst %':>10}  goal")
    for row in rows:
        found = row.statistics()
        goal = ", ".join(f"{'|bias|' if name == 'bias' else name} <= {limit:g}" for name, limit in row.goal.items())
        count = sum(len(percent) for _, percent in row.errors)
        cells = "".join(f"{found[name]:>10.4f}" for name in STATISTICS)
        verdict = ("pass" if row.passed() else "FAIL") if row.goal else ""
        print(f"{row.name:42}{count:>8}{cells}  {goal or 'for information':46}{verdict}")
    print("\nLargest error of each row:")
    for row in rows:
        label, error, at = row.worst()
        print(f"  {row.name:40} {error:+.4f} % at {at}: {label}")


def show_native(params: Measure) -> list[Row]:
    """One cord a row group at six resolutions: each CSA, its error, and how far the six lie apart."""
    each: dict[str, Row] = {}
    apart = Row("six resolutions, farthest apart", {"worst": 0.1})
    print("\nC2-C3 CSA (mm2) of the same cord at the six native resolutions, soft:")
    for label, found, true in native(SHAPES, params):
        print(f"  {label}, {true:.4f}: " + ", ".join(f"{name} {area:.4f}" for name, area in found.items()))
        for name, area in found.items():
            row = each.setdefault(name, Row(f"C2-C3 at the resolution of {name}", {"worst": 0.1}))
            row.add(label, percent(np.array(area), np.array(true)))
        areas = np.array(list(found.values()))
        apart.add(label, percent(areas.max(), areas.min()))
    return [*each.values(), apart]


def show_goals(goals: list[Goal]) -> None:
    print()
    for goal in goals:
        print(f"{goal.name:72}{goal.found:>10.3f} {goal.unit:8} <= {goal.limit:<8g}{'pass' if goal.passed else 'FAIL'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"every {QUICK}th volume of the sweep")
    parser.add_argument("--stiffness", type=float, help="mm; default: the profile's (params.yaml)")
    options = parser.parse_args()
    params = Measure(**yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["measure"])
    if options.stiffness:
        params = params.model_copy(update={"stiffness_mm": options.stiffness})
    started = time.perf_counter()
    rows = accuracy(params.stiffness_mm, options.quick)
    rows += show_native(params)
    print(f"\nAccuracy (stiffness {params.stiffness_mm:g} mm, {time.perf_counter() - started:.0f} s):")
    show(rows)
    goals = [] if options.quick else speed(SHAPES["dented front"], params)
    show_goals(goals)
    return 0 if all(row.passed() for row in rows) and all(goal.passed for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
