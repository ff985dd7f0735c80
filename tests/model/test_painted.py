"""Batches of painted anatomies: they depend on their number alone, and image, target and maps fit each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.prepared import write_prepared

from stages.core.base.errors import DatasetError, SettingsError
from stages.core.base.files import read_csv
from stages.core.model.training.fold import train_fold
from stages.core.model.training.painted import PaintedBatches, draw_sample, read_maps
from stages.core.model.training.settings import FixedPlan, Network
from stages.core.phantom.acquisition.tissue_map import TissueMap
from stages.core.phantom.dataset.pool import paint_pool
from stages.core.phantom.dataset.settings import Paint
from stages.core.phantom.rendering.painted import paint_tissue_map
from stages.core.workspace.runs.params import load_params

ROOT = Path(__file__).parents[2]
TRAIN = load_params(ROOT / "params/demo.yaml").train
PLAN = FixedPlan(
    spacing_mm=[1, 1, 1], patch_size=[16, 16, 16], batch_size=2, network=Network(features=[4, 8, 8], convolutions=1)
)
PATCH = [32, 40, 36]  # z, y, x
SIZE = (40, 44, 36)  # x, y, z


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("maps")
    for k in range(6):
        paint_tissue_map(np.random.default_rng([2, k]), SIZE).write(folder / f"{k}.npz")
    return sorted(folder.glob("*.npz"))


@pytest.fixture(scope="module")
def painted(maps: list[Path]) -> TissueMap:
    """The map that shows most of a cord."""
    most = max((TissueMap.read(path) for path in maps), key=lambda one: float(one.cord(0.0, 1.0).sum()))
    assert most.cord(0.0, 1.0).sum() > 1000
    return most


def _plan(patch: list[int] = PATCH, spacing: list[float] = [1.0] * 3) -> FixedPlan:
    return PLAN.model_copy(update={"patch_size": patch, "spacing_mm": spacing})


def _batches(maps: list[Path], scales: list[list[float]] | None = None, **changed: int) -> PaintedBatches:
    chosen = {"batch_size": 2, "seed": 1, "iterations": 3, "threads": 2} | changed
    return PaintedBatches(maps, PATCH, scales, inwards_mm=0.0, voxel_mm=1.0, **chosen)  # type: ignore[arg-type]


def test_an_epoch_draws_the_same_batches_wherever_it_begins(maps: list[Path]) -> None:
    first = _batches(maps)
    first.start(4)
    whole = [next(first)["data"] for _ in range(3)]
    again = _batches(maps, threads=1)
    again.start(3)
    next(again)  # of another epoch; what waits is forgotten
    again.start(4)
    for batch in whole:
        torch.testing.assert_close(next(again)["data"], batch, rtol=0, atol=0)
    assert len({float(batch.sum()) for batch in whole}) == 3
    assert not torch.equal(_batches(maps, seed=2).batch(4, 0)["data"], whole[0])


def test_a_batch_has_the_form_of_those_of_nnunet(maps: list[Path]) -> None:
    batch = _batches(maps, [[1, 1, 1], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]]).batch(0, 0)
    assert batch["data"].shape == (2, 1, *PATCH)
    assert batch["data"].dtype == torch.float32
    assert [tuple(target.shape) for target in batch["target"]] == [
        (2, 1, 32, 40, 36), (2, 1, 16, 20, 18), (2, 1, 8, 10, 9),
    ]  # fmt: skip
    full = batch["target"][0]
    assert 0 <= float(full.min()) <= float(full.max()) <= 1
    for target in batch["target"][1:]:  # a coarser target holds the same amount of cord
        assert float(target.mean()) == pytest.approx(float(full.mean()), rel=1e-5, abs=1e-9)


def test_image_and_target_lie_on_each_other(painted: TissueMap) -> None:
    """Between cord and fluid lies the strongest edge: at the target's boundary the image changes more than inside."""
    better = 0
    for k in range(20):
        image, target = draw_sample(painted, (36, 44, 40), np.random.default_rng(k), inwards_mm=0.0, voxel_mm=1.0)
        inside, ring = target == 1, (target > 0) & (target < 1)
        if inside.sum() < 50:
            continue
        steps = np.hypot(*np.gradient(image, axis=(1, 2)))
        better += steps[ring].mean() > steps[inside].mean()
    assert better >= 14


def test_the_boundary_lies_inwards_by_what_is_asked_in_every_contrast_alike(painted: TissueMap) -> None:
    for k in range(4):
        targets = [
            draw_sample(painted, (36, 44, 40), np.random.default_rng(k), inwards_mm=d, voxel_mm=1.0)[1]
            for d in (0.0, 0.2)
        ]
        assert (targets[1] <= targets[0]).all()
        assert targets[0].sum() > 100
        edge = (targets[0] > 0.25) & (targets[0] < 0.95)
        np.testing.assert_allclose((targets[0] - targets[1])[edge], 0.2, atol=0.011)


def test_maps_that_do_not_fit_the_plan_are_refused(tmp_path: Path) -> None:
    settings = Paint(anatomies=0, size=[40, 44, 36], voxel_mm=1.0, seed=1, workers=1)
    paint_pool(settings, tmp_path / "paint", tmp_path / "scratch")
    with pytest.raises(SettingsError, match=r"paint\.anatomies is 0"):
        read_maps(tmp_path / "paint", _plan(), 0.0)
    manifest = tmp_path / "paint/manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(DatasetError, match=r"manifest\.json.*dvc repro --force paint"):
        read_maps(tmp_path / "paint", _plan(), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("patch", "spacing"), [([64, 40, 36], [1.0] * 3), (PATCH, [1.0, 1.0, 2.0])])
def test_a_patch_larger_than_the_maps_or_of_other_voxels_is_refused(
    tmp_path: Path, patch: list[int], spacing: list[float]
) -> None:
    settings = Paint(anatomies=1, size=[40, 44, 36], voxel_mm=1.0, seed=1, workers=1)
    paint_pool(settings, tmp_path / "paint", tmp_path / "scratch")
    assert len(read_maps(tmp_path / "paint", _plan(), 0.0)) == 1
    with pytest.raises(SettingsError, match=r"\[40, 44, 36\] voxels .* paint\.size or paint\.voxel_mm"):
        read_maps(tmp_path / "paint", _plan(patch, spacing), 0.0)


class Killed(Exception):  # noqa: N818 - it stands for a signal
    """Raised where a signal would end the process."""


@pytest.mark.slow
def test_a_training_on_painted_anatomies_and_shares_can_be_resumed_too(tmp_path: Path) -> None:
    prepared = write_prepared(tmp_path / "prepare")
    paint = Paint(anatomies=2, size=[20, 20, 20], voxel_mm=1.0, seed=1, workers=1)
    paint_pool(paint, tmp_path / "paint", tmp_path / "scratch")
    optimiser = TRAIN.optimiser.model_copy(update={"schedule": "cosine", "warmup": 1, "average": 0.9})
    settings = TRAIN.model_copy(
        update={
            "painted": TRAIN.painted.model_copy(update={"share": 0.5}),
            "loss": "soft", "bfloat16": True, "optimiser": optimiser, "iterations": 4, "plan": PLAN, "epochs": 3,
            "validation_iterations": 1, "save_every": 1, "threads": 1,
        }
    )  # fmt: skip

    def kill(epoch: int) -> None:
        if epoch == 1:
            raise Killed

    def train(out: str, scratch: str, stop: Callable[[int], None] | None = None) -> bytes:
        painted = tmp_path / "paint"
        train_fold(prepared, tmp_path / out, tmp_path / scratch, settings, 0, painted=painted, stop=stop)
        return (tmp_path / out / "weights.safetensors").read_bytes()

    whole = train("whole", "one")
    with pytest.raises(Killed):
        train("fold", "two", kill)
    assert train("fold", "two") == whole
    rates = read_csv(tmp_path / "whole/progress.csv")["learning_rate"]
    assert rates.idxmax() == 1, "the rate rises in the first epoch and falls after it"
