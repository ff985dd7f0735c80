"""Seconds and memory of the inference: nnU-Net's own predictor beside ours with torch and with OpenVINO.

The same bundle segments the same volumes in each of the three ways, by turns in one run, each way in a process of its
own. Weights are random, which changes no time; the volumes are phantoms: a large view of 320 x 260 x 192 mm at 1 mm,
and the six contrasts of the frozen set. ``--thesis`` adds the network of the size that a lab trains, on the large view.
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
from stages.core.model.bundle.content import Bundle, bundle_digest_of, read_bundle  # noqa: E402
from stages.core.model.segmentation.settings import Segment  # noqa: E402
from stages.core.model.training.plans import fixed_plans  # noqa: E402
from stages.core.model.training.settings import FixedPlan, Network  # noqa: E402
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS  # noqa: E402
from stages.core.phantom.acquisition.grid import Grid, Pose  # noqa: E402
from stages.core.phantom.acquisition.scanner import Scanner  # noqa: E402
from stages.core.phantom.anatomy.draw import draw_anatomy, extend_anatomy  # noqa: E402
from stages.core.phantom.rendering.images import render_image  # noqa: E402
from stages.core.workspace.runs.params import load_params  # noqa: E402

WAYS = ("nnU-Net", "torch", "openvino")
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
    grid = Grid.around(LARGE_MM, (1.0, 1.0, 1.0), (0.0, 20.0, -30.0))
    image = render_image(extend_anatomy(anatomy), PHANTOM_CONTRASTS["T2w"], grid, Pose(), Scanner("phantom"), rng)
    out["large view"] = _write(folder / "large.nii.gz", image, grid)
    return out


def _write(path: Path, image: Any, grid: Grid) -> Path:
    write(path, image, grid.affine)
    return path


def run(way: str, plan: FixedPlan, mirror: bool, files: list[Path], threads: int) -> dict[str, float]:
    """Segment the files one after the other; return seconds for each, and the peak of memory (MB)."""
    from stages.core.model.segmentation.predictor import Predictor

    with tempfile.TemporaryDirectory() as scratch:
        bundle = bundle_of(plan, Path(scratch))
    settings = Segment(
        datasets=[], contrasts=[], shards=[0], step=0.5, mirror=mirror, threshold=0.5, largest_component=True,
        device="cpu", backend="openvino" if way == "openvino" else "torch", threads=threads,
    )  # fmt: skip
    predictor = Predictor(bundle, settings)
    seconds = {}
    for file in files:
        volume = read(file)
        begin = time.perf_counter()
        if way == "nnU-Net":
            _stock(predictor, volume)
        else:
            predictor(volume)
        seconds[file.name] = time.perf_counter() - begin
    return {**seconds, "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _stock(predictor: Any, volume: Volume) -> None:
    """Segment as nnU-Net itself does: weights as torch lays them out, no search for the largest component."""
    import torch

    predictor.predictor.network.to(memory_format=torch.contiguous_format)
    x, y, z = volume.spacing_mm
    predictor.predictor.predict_single_npy_array(
        volume.data.transpose(2, 1, 0)[None], {"spacing": [z, y, x]}, save_or_return_probabilities=True
    )


def main() -> None:
    """Print a table: seconds and memory of each way, and how many times faster than nnU-Net's it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thesis", action="store_true", help="also the network of a lab's size (half an hour)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        asked = json.loads(options.one)
        plan = FixedPlan.model_validate(asked["plan"])
        print(json.dumps(run(asked["way"], plan, asked["mirror"], [Path(f) for f in asked["files"]], options.threads)))
        return
    demo = load_params(ROOT / "params/demo.yaml").train.plan
    assert demo is not None
    with tempfile.TemporaryDirectory() as folder:
        files = volumes(Path(folder))
        small, large = [files[name] for name in files if name != "large view"], [files["large view"]]
        cases = [
            (f"{what}, {'with' if mirror else 'no'} mirroring", demo, mirror, which)
            for what, which in (("demo network, six contrasts", small), ("demo network, large view", large))
            for mirror in (False, True)
        ]
        cases += [("thesis network, large view, no mirroring", THESIS, False, large)] if options.thesis else []
        print(f"{options.threads} threads; step 0.5; seconds for all volumes of a row, of a process that is warm")
        for name, plan, mirror, which in cases:
            first = 0.0
            for way in WAYS:
                found = _ask({"way": way, "plan": plan.model_dump(), "mirror": mirror, "files": [*map(str, which)]})
                memory = found.pop("MB")
                seconds = sum(found.values())
                first = first or seconds
                print(f"{name:45} {way:9} {seconds:8.1f} s {first / seconds:6.1f} x {memory:7.0f} MB", flush=True)


def _ask(words: dict[str, Any]) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--one", json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
