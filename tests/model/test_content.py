"""A bundle from elsewhere is read within bounds, and each fault of it is a sentence."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from stages.core.base.errors import BundleError, ImageError, SettingsError
from stages.core.base.files import read_json
from stages.core.images.volumes import Volume
from stages.core.model.bundle.content import build_bundle, bundle_digest_of, read_bundle, read_model_and_dataset
from stages.core.model.segmentation.predictor import Predictor
from stages.core.model.segmentation.settings import Segment
from stages.core.model.training.weights import read_weights
from tests.support.bundles import CONFIGURATION, LESIONS, make_bundle, make_fold

WEIGHTS = "fold_0/weights.safetensors"
SETTINGS = Segment(
    datasets=["phantom"],
    contrasts=["T1w"],
    shards=[0],
    step=0.5,
    mirror=False,
    threshold=0.5,
    largest_component=False,
    device="cpu",
    backend="torch",
    threads=1,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two folds, which no test changes."""
    folder = tmp_path_factory.mktemp("made")
    return make_bundle(folder / "bundle", folder / "scratch", folds=2)


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(made, tmp_path / "bundle")
    return tmp_path / "bundle"


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_a_model_of_two_regions_has_a_digest_of_its_own(made: Path, tmp_path: Path) -> None:
    both = read_bundle(make_bundle(tmp_path / "bundle", tmp_path / "scratch", folds=2, labels=LESIONS))
    assert both.regions == ("cord", "lesion")
    cord = read_bundle(made)
    assert cord.regions == ("cord",)
    assert both.digest != cord.digest


def test_the_bundle_itself_is_read(made: Path) -> None:
    verified = read_bundle(made)
    assert sorted(verified.folds) == [0, 1]
    assert verified.mirroring == (2,)
    assert verified.digest == read_json(made / "model.json")["digest"]


def _arch(model: dict[str, Any]) -> Any:
    return _chosen(model)["architecture"]["arch_kwargs"]


def _chosen(model: dict[str, Any]) -> Any:
    return model["plans"]["configurations"][CONFIGURATION]


def _renamed(model: dict[str, Any], name: str) -> None:
    model["configuration"] = name
    model["plans"]["configurations"] = {name: _chosen({**model, "plans": dict(model["plans"])})}


PLAN_FAULTS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda m: _renamed(m, "x/../.."), "'x/../..' cannot be the name of a configuration"),
    (lambda m: m.update(configuration=["3d"]), "cannot be the name of a configuration"),
    (lambda m: m.update(mirroring=["a"]), "mirroring must be axes 0 to 2"),
    (lambda m: m.update(mirroring=[[0]]), "mirroring must be axes 0 to 2"),
    (lambda m: m.update(mirroring=[0, 0]), "each once"),
    (lambda m: m.update(mirroring=[True]), "mirroring must be axes"),
    (lambda m: m.update(mirroring=5), "mirroring must be axes"),
    (lambda m: m["plans"].update(transpose_forward=["a", 0, 1]), "must be orders of 0, 1, 2"),
    (lambda m: m["plans"].update(transpose_forward=[True, 0, 2]), "must be orders of 0, 1, 2"),
    (lambda m: m["plans"].update(transpose_backward=7), "must be orders of 0, 1, 2"),
    (lambda m: m["plans"].update(transpose_forward=[1, 2, 0]), "does not undo transpose_forward"),
    (lambda m: m.update(plans=[]), "has no configuration"),
    (lambda m: _chosen(m).update(spacing=[0.02] * 3), "greater than or equal to 0.1"),
    (lambda m: _chosen(m).update(spacing=[1.0, 1.0]), "spacing must have 3 axes"),
    (lambda m: _chosen(m).update(patch_size=[1024] * 3), "larger than any that nnU-Net plans"),
    (lambda m: _chosen(m).update(patch_size=[16, 16]), "patch_size must have 3 axes"),
    (lambda m: _chosen(m).update(patch_size=[16, 16, 18]), "not divisible by the strides"),
    (lambda m: _chosen(m).update(normalization_schemes=[]), "must have one entry"),
    (lambda m: _chosen(m).update(median_image_size_in_voxels=[float("inf")]), "is no number of JSON"),
    (lambda m: _arch(m).update(kernel_sizes=[[3, 3]] * 3), "kernel_sizes must have 3 axes"),
    (lambda m: _arch(m).update(norm_op="torch.nn.modules.instancenorm.InstanceNorm2d"), "norm_op must have 3 axes"),
    (lambda m: (_arch(m).update(features_per_stage=[64] * 3), _chosen(m).update(patch_size=[256] * 3)), "larger than"),
    (lambda m: _arch(m).update(features_per_stage=[1024] * 3, n_conv_per_stage=[12] * 3), "the network has about"),
    (lambda m: _arch(m).update(n_blocks_per_stage=[1] * 3), "exactly one of n_conv_per_stage and n_blocks_per_stage"),
    (lambda m: m.update(extra=1), "must hold schema, configuration, mirroring and plans"),
]


@pytest.mark.parametrize(("change", "sentence"), PLAN_FAULTS)
def test_a_plan_out_of_bounds_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    _edit(bundle / "plans.json", change)
    with pytest.raises(BundleError, match=re.escape(sentence)):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(folds=[]), "must be a list of fold numbers"),
        (lambda m: m.update(folds=[True]), "must be a list of fold numbers"),
        (lambda m: m.update(folds=[-1]), "must be a list of fold numbers"),
        (lambda m: m.update(folds=["../fold_0"]), "must be a list of fold numbers"),
        (lambda m: m.update(folds=[0, 0]), "each once"),
        (lambda m: m.update(folds=list(range(50))), "must be up to 20 numbers"),
        (lambda m: m.update(folds=[0, 7]), "is missing from the bundle"),
        (lambda m: m.update(digest="0" * 64), "was changed after it was packaged"),
        (lambda m: m.update(schema=99), "install a newer cordrift"),
    ],
)
def test_a_list_of_folds_that_cannot_be_is_refused(bundle: Path, change: Any, sentence: str) -> None:
    _edit(bundle / "model.json", change)
    with pytest.raises(BundleError, match=re.escape(sentence)):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(labels={"background": 0, "cord": 1, "lesion": 2}), "the labels"),
        (lambda d: d.update(labels=LESIONS["labels"]), "the labels"),
        (lambda d: d.update(LESIONS | {"regions_class_order": [2, 1]}), "the labels"),
        (lambda d: d.update(LESIONS | {"labels": dict(reversed(LESIONS["labels"].items()))}), "in this order"),
        (lambda d: d.update(regions_class_order=[1]), "the labels"),
        (lambda d: d.update(channel_names=["mri"]), "must have one channel"),
        (lambda d: d.update(channel_names={"0": "a", "1": "b"}), "must have one channel"),
        (lambda d: d.update(channel_names={"0": ["x"]}), "must name its channel"),
        (lambda d: d.update(file_ending="/../x"), "the file ending .nii.gz"),
    ],
)
def test_a_dataset_json_of_another_task_is_refused(bundle: Path, change: Any, sentence: str) -> None:
    _edit(bundle / "dataset.json", change)
    with pytest.raises(BundleError, match=re.escape(sentence)):
        read_bundle(bundle)


def _weights(bundle: Path) -> tuple[str, dict[str, Any]]:
    weights = load_file(bundle / WEIGHTS)
    return min(weights), weights


def _put(bundle: Path, weights: dict[str, Any]) -> None:
    """Write weights with a model.json that states their digest, as a hostile author would."""
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, bundle / WEIGHTS)
    model, dataset = read_model_and_dataset(bundle)
    folds = {0: read_weights(bundle / WEIGHTS)}
    digest = bundle_digest_of(folds, model, dataset)
    _edit(bundle / "model.json", lambda m: m.update(folds=[0], digest=digest))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bundle: Path, value: float) -> None:
    name, weights = _weights(bundle)
    weights[name].flat[-1] = value
    save_file(weights, bundle / WEIGHTS)
    with pytest.raises(BundleError, match=f"the weight {re.escape(name)} is not finite"):
        read_bundle(bundle)


def test_a_training_whose_weights_are_not_finite_writes_none(tmp_path: Path) -> None:
    import torch

    from stages.core.model.training.weights import write_weights

    with pytest.raises(BundleError, match="the weight w is not finite: the training diverged"):
        write_weights(tmp_path / "weights.safetensors", {"w": torch.tensor([1.0, float("nan")])})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["bfloat16", "int64", "bool", "float8_e4m3fn"])
def test_weights_of_another_type_are_refused(bundle: Path, kind: str) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    save_tensors({"w": torch.ones(4).to(getattr(torch, kind))}, bundle / WEIGHTS)
    with pytest.raises(BundleError, match=r"the weight w has the type .*; expected F16, F32, F64"):
        read_bundle(bundle)


def test_a_fold_of_another_network_is_refused(bundle: Path) -> None:
    name, weights = _weights(bundle)
    weights[name] = np.zeros((2, 2), np.float32)
    save_file(weights, bundle / WEIGHTS)
    with pytest.raises(BundleError, match=r"fold 1 are of another network than those of fold 0; they differ in"):
        read_bundle(bundle)


def test_weights_that_do_not_fit_the_network_are_refused_before_an_image_is_read(bundle: Path) -> None:
    name, weights = _weights(bundle)
    weights[name] = np.zeros((2, 2), np.float32)
    _put(bundle, weights)
    with pytest.raises(BundleError, match="do not fit its network"):
        Predictor(read_bundle(bundle), SETTINGS)


def test_a_metadata_that_is_no_table_of_names_is_refused(bundle: Path) -> None:
    _, weights = _weights(bundle)
    for metadata in ('["x"]', '{"a": ["b"]}', '{"a": {"b": 1}}', "[" * 100_000):
        save_file(weights, bundle / WEIGHTS, metadata={"other_names": metadata})
        with pytest.raises(BundleError, match=r"metadata whose|another name of|is not a safetensors file"):
            read_bundle(bundle)


def test_a_volume_that_would_fill_the_memory_fails_alone(bundle: Path) -> None:
    """The grid of the plan, 0.1 mm here, would make a small file to 10^11 voxels."""
    _edit(bundle / "plans.json", lambda model: _chosen(model).update(spacing=[0.1, 0.1, 0.1]))
    _put(bundle, dict(read_weights(bundle / WEIGHTS)))
    predict = Predictor(read_bundle(bundle), SETTINGS)
    volume = Volume(np.zeros((12, 12, 12), np.float32), np.diag([40.0, 40.0, 40.0, 1.0]))
    with pytest.raises(ImageError, match=r"480 x 480 x 480 mm would have 1.1e\+11 voxels on the grid of the plan"):
        predict(volume)


@pytest.mark.parametrize("name", ["fold_0/link.json", "plans.json"])
def test_a_link_in_a_bundle_is_followed_by_nobody(bundle: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.json"
    shutil.copyfile(bundle / "plans.json", secret)
    (bundle / name).unlink(missing_ok=True)
    (bundle / name).symlink_to(secret)
    with pytest.raises(BundleError, match=re.escape(f"holds {name}: a bundle has no pickle, no code and no link")):
        read_bundle(bundle)


def test_a_bundle_whose_weights_are_too_large_is_refused_unread(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.core.model.training import weights

    monkeypatch.setattr(weights, "MOST_BYTES", 1000)
    monkeypatch.setattr(weights, "safe_open", None)  # reading would fail
    with pytest.raises(BundleError, match="no network of nnU-Net has over 1000"):
        read_bundle(bundle)


def test_a_gpu_that_is_not_there_is_told_before_an_image_is_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match=r"segment.device is cuda, and torch finds no GPU here"):
        Predictor(read_bundle(made), SETTINGS.model_copy(update={"device": "cuda"}))


def test_a_bundle_needs_a_fold(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a bundle needs at least one trained fold"):
        build_bundle({}, tmp_path / "manifest.json", tmp_path / "bundle", "test")


def test_folds_of_different_plans_make_no_bundle(tmp_path: Path) -> None:
    for fold in (0, 1):
        make_fold(tmp_path / str(fold), fold)
    _edit(tmp_path / "1/plans.json", lambda model: model.update(mirroring=[1]))
    with pytest.raises(BundleError, match=r"1/plans.json differs from .*0/plans.json: fold 1 needs"):
        build_bundle({n: tmp_path / str(n) for n in (0, 1)}, tmp_path / "manifest.json", tmp_path / "bundle", "test")
