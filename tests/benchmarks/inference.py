"""Seconds, memory and CSA of the inference: nnU-Net's own predictor beside ours, and ours from coarse to fine.

The same bundle segments the same volumes in each of the ways, by turns in one run, each way in its own process. The
volumes are phantoms: a large view of 320 x 260 x 192 mm at 1 mm, and the six contrasts of the frozen set. The CSA is
that of C2-C3, compared with torch on whole volumes.

``--thesis`` adds the network of the size that a lab trains, on the large view, with random weights: of it the seconds
only. From coarse to fine it computes the tiles near the place that the localiser finds, as a trained one would.

``--crops`` instead cuts a few voxels off the large view, which moves the tiles: how far the CSA then moves, whole and
from coarse to fine, is what the place of a tile does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from support.bundles import CONFIGURATION, make_bundle, network_of  # noqa: E402

from stages.core.images.volumes import Volume, read, write  # noqa: E402
from stages.core.measures.morphometry.settings import Measure  # noqa: E402
from stages.core.measures.morphometry.table import measure_volume  # noqa: E402
from stages.core.model.bundle.content import Bundle, bundle_digest_of, read_bundle  # noqa: E402
from stages.core.model.localisation.search import make_search  # noqa: E402
from stages.core.model.segmentation.predictor import Predictor  # noqa: E402
from stages.core.model.segmentation.settings import Segment  # noqa: E402
from stages.core.model.training.plans import fixed_plans  # noqa: E402
from stages.core.model.training.settings import FixedPlan, Network  # noqa: E402
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS  # noqa: E402
from stages.core.phantom.acquisition.grid import Grid, Pose  # noqa: E402
from stages.core.phantom.acquisition.scanner import Scanner  # noqa: E402
from stages.core.phantom.anatomy.draw import draw_anatomy, extend_anatomy  # noqa: E402
from stages.core.phantom.rendering.images import render_image  # noqa: E402
from stages.core.phantom.rendering.render import disc_labels  # noqa: E402
from stages.core.workspace.bundles.named import STARTER, find_bundle  # noqa: E402
from stages.core.workspace.runs.params import load_params  # noqa: E402

COARSE = "coarse to fine"
WAYS = ("nnU-Net", "torch", "openvino", COARSE)
MEASURE = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
#: 6 stages of 32 to 320 features and the patch of nnU-Net's plan for T1w and T2w at 1 mm (chapter 5 of the thesis).
THESIS = FixedPlan(
    spacing_mm=[1, 1, 1], patch_size=[160, 224, 64], batch_size=2,
    network=Network(features=[32, 64, 128, 256, 320, 320], convolutions=2),
)  # fmt: skip
LARGE_MM = (192.0, 260.0, 320.0)


def bundle_of(plan: FixedPlan, folder: Path) -> Bundle:
    """Return a bundle with the network of a plan and random weights."""
    made = read_bundle(make_bundle(folder / "bundle", folder / "scratch"))
    plans = fixed_plans(plan, CONFIGURATION)
    folds = {0: {name: np.asarray(value) for name, value in network_of(plans).state_dict().items()}}
    model = {"configuration": CONFIGURATION, "mirroring": [2], "plans": plans}
    return Bundle(bundle_digest_of(folds, model, made.dataset), CONFIGURATION, (2,), plans, made.dataset, folds)


def volumes(folder: Path) -> dict[str, Path]:
    """Write the phantoms and return their files by name."""
    rng = np.random.default_rng(5)
    anatomy = draw_anatomy(rng)
    out = {}
    for name in load_params(ROOT / "params/demo.yaml").segment.contrasts:
        contrast = PHANTOM_CONTRASTS[name]
        grid = Grid.around((50.0, 50.0, 60.0), contrast.spacing_mm, (0.0, 0.0, 0.0))
        image = render_image(anatomy, contrast, grid, Pose(), Scanner("phantom"), rng)
        out[name] = _write(folder / f"{name}.nii.gz", image, grid)
        write(_discs(out[name]), disc_labels(anatomy, grid, Pose()), grid.affine)
    grid = Grid.around(LARGE_MM, (1.0, 1.0, 1.0), (0.0, 20.0, -30.0))
    image = render_image(extend_anatomy(anatomy), PHANTOM_CONTRASTS["T2w"], grid, Pose(), Scanner("phantom"), rng)
    out["large view"] = _write(folder / "large.nii.gz", image, grid)
    write(_discs(out["large view"]), disc_labels(extend_anatomy(anatomy), grid, Pose()), grid.affine)
    return out


def _discs(path: Path) -> Path:
    return path.with_name(path.name.replace(".nii.gz", "_discs.nii.gz"))


def _write(path: Path, image: Any, grid: Grid) -> Path:
    write(path, image, grid.affine)
    return path


def run(way: str, model: str | dict[str, Any], mirror: bool, files: list[Path], threads: int) -> dict[str, Any]:
    """Segment the files one after the other; return seconds and CSA (mm2) of each, and the peak of memory (MB)."""
    trained = isinstance(model, str)
    if isinstance(model, str):
        bundle = find_bundle(model)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            bundle = bundle_of(FixedPlan.model_validate(model), Path(scratch))
    settings = Segment(
        datasets=[], contrasts=[], shards=[0], step=0.5, mirror=mirror, threshold=0.5, largest_component=True,
        coarse_to_fine=way == COARSE, device="cpu",
        backend="torch" if way in {"nnU-Net", "torch"} else "openvino", threads=threads,
    )  # fmt: skip
    predictor = Predictor(bundle, settings) if way == "nnU-Net" else None
    search = make_search(bundle, settings)
    seconds, areas = [], []
    for file in files:
        volume = read(file)
        begin = time.perf_counter()
        if way == "nnU-Net":
            soft = _stock(predictor, volume)
        else:
            soft = search(volume).soft if trained or way != COARSE else _near(search, volume)
        seconds.append(time.perf_counter() - begin)
        if not trained:
            areas.append(float("nan"))
            continue
        rows = measure_volume(Volume(soft, volume.affine), read(_discs(file)), MEASURE)
        areas.append(float(rows[rows["scope"] == "range"]["csa_mm2"].iloc[0]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": sum(seconds), "csa_mm2": areas, "MB": peak}


def crops(model: str, file: Path, threads: int) -> None:
    """Print the CSA (mm2) of the large view without its first voxels along x, y and z."""
    block = {
        "datasets": [], "contrasts": [], "shards": [0], "step": 0.5, "mirror": False, "threshold": 0.5,
        "largest_component": True, "device": "cpu", "backend": "openvino", "threads": threads,
    }  # fmt: skip
    bundle, volume, discs = find_bundle(model), read(file), read(_discs(file))
    ways = {
        name: make_search(bundle, Segment.model_validate(block | {"coarse_to_fine": name == COARSE}))
        for name in ("whole", COARSE)
    }
    for first in ((0, 0, 0), (7, 11, 5), (16, 16, 16), (12, 4, 20)):
        image, labels = _without(volume, first), _without(discs, first)
        found = {}
        for name, search in ways.items():
            rows = measure_volume(Volume(search(image).soft, image.affine), labels, MEASURE)
            found[name] = float(rows[rows["scope"] == "range"]["csa_mm2"].iloc[0])
        told = ", ".join(f"{name} {area:.2f} mm2" for name, area in found.items())
        print(f"without the first {first} voxels: {told}", flush=True)


def _without(volume: Volume, first: tuple[int, int, int]) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(first, float)
    x, y, z = first
    return Volume(np.ascontiguousarray(volume.data[x:, y:, z:]), affine)


def _near(search: Any, volume: Volume) -> Any:
    return search.fine.each_within(volume, search.locate(volume).near)[0]


def _stock(predictor: Any, volume: Volume) -> Any:
    """Segment as nnU-Net itself does: weights as torch lays them out, no search for the largest component."""
    import torch

    predictor.predictor.network.to(memory_format=torch.contiguous_format)
    x, y, z = volume.spacing_mm
    _, chances = predictor.predictor.predict_single_npy_array(
        volume.data.transpose(2, 1, 0)[None], {"spacing": [z, y, x]}, save_or_return_probabilities=True
    )
    return np.ascontiguousarray(chances[1].transpose(2, 1, 0), dtype=np.float32)


def main() -> None:
    """Print a table: seconds and memory of each way, how many times faster than nnU-Net's, and how far its CSA is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=STARTER, help="as `cordrift segment --model` (default: %(default)s)")
    parser.add_argument("--thesis", action="store_true", help="also the network of a lab's size (half an hour)")
    parser.add_argument("--crops", action="store_true", help="what the place of the tiles does to the CSA (minutes)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        asked = json.loads(options.one)
        files = [Path(file) for file in asked["files"]]
        print(json.dumps(run(asked["way"], asked["model"], asked["mirror"], files, options.threads)))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = volumes(Path(folder))
        if options.crops:
            crops(options.model, files["large view"], options.threads)
            return
        small, large = [files[name] for name in files if name != "large view"], [files["large view"]]
        cases: list[tuple[str, str | dict[str, Any], bool, list[Path]]] = [
            (f"{options.model}, {what}, {'with' if mirror else 'no'} mirroring", options.model, mirror, which)
            for what, which in (("six contrasts", small), ("large view", large))
            for mirror in (False, True)
        ]
        if options.thesis:
            cases.append(("thesis network, large view, no mirroring", THESIS.model_dump(), False, large))
        print(f"{options.threads} threads; step 0.5; seconds for all volumes of a row, of a process that is warm")
        for name, model, mirror, which in cases:
            first, reference = 0.0, np.array([np.nan])
            for way in WAYS:
                found = _ask({"way": way, "model": model, "mirror": mirror, "files": [*map(str, which)]})
                seconds, areas = found["seconds"], np.array(found["csa_mm2"])
                first = first or seconds
                reference = areas if way == "torch" else reference
                off = 100 * np.abs(areas / reference - 1).max() if isinstance(model, str) else np.nan
                print(
                    f"{name:45} {way:14} {seconds:8.1f} s {first / seconds:6.1f} x {found['MB']:7.0f} MB   CSA off by "
                    f"at most {off:.3f} %",
                    flush=True,
                )


def _ask(words: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, *sys.argv[1:], "--one", json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
