"""Training is deterministic and resumable. Its bundle is named by its content and safe to read."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.prepared import write_prepared

from stages.core.base.errors import BundleError, DatasetError, SettingsError
from stages.core.base.files import read_csv, read_json, write_json
from stages.core.images import volumes
from stages.core.model.bundle.content import build_bundle, read_bundle
from stages.core.model.bundle.toolbox import Shipped, write_toolbox_zip
from stages.core.model.segmentation.predictor import Predictor, inference_digest
from stages.core.model.training import fold
from stages.core.model.training.fold import check_versions, preprocess, state_digest, train_fold
from stages.core.model.training.plans import fixed_plans, inference_plans
from stages.core.model.training.settings import FixedPlan, Network, Train
from stages.core.model.training.weights import read_weights
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params/demo.yaml")
PLAN = FixedPlan(
    spacing_mm=[1, 1, 1], patch_size=[16, 16, 16], batch_size=2, network=Network(features=[4, 8, 8], convolutions=1)
)
SETTINGS: Train = PARAMS.train.model_copy(
    update={"plan": PLAN, "epochs": 3, "iterations": 12, "validation_iterations": 1, "save_every": 1, "threads": 1}
)


WEIGHTS = "weights.safetensors"


class Killed(Exception):  # noqa: N818 - it stands for a signal
    """Raised where a signal would end the process."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``prepare``, one finished fold in ``fold`` and its ``bundle``."""
    folder = tmp_path_factory.mktemp("trained")
    train_fold(write_prepared(folder / "prepare"), folder / "fold", folder / "scratch", SETTINGS, 0)
    build_bundle({0: folder / "fold"}, folder / "prepare/manifest.json", folder / "bundle", "test")
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    shutil.copytree(trained / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_killed_training_resumed_gives_the_weights_of_an_uninterrupted_one(trained: Path, tmp_path: Path) -> None:
    def kill(epoch: int) -> None:
        if epoch == 1:  # after the first checkpoint, before the second: epoch 1 is trained again
            raise Killed

    with pytest.raises(Killed):
        train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0, stop=kill)
    assert not (tmp_path / "fold").exists(), "nothing was written in part"
    seen: list[int] = []
    train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0, stop=seen.append)
    assert seen == [1, 2], "it continued from the saved epoch, not from the start"
    weights = "weights.safetensors"
    assert (tmp_path / "fold" / weights).read_bytes() == (trained / "fold" / weights).read_bytes()
    columns = ["epoch", "train_loss", "val_loss", "dice", "learning_rate"]
    resumed, whole = (read_csv(path / "fold/progress.csv")[columns] for path in (tmp_path, trained))
    assert resumed.equals(whole)


def test_a_thread_count_that_preprocessing_leaves_behind_changes_no_weight(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two resamplings of nnU-Net at a time can leave its own count of 4 threads behind, as here."""
    import torch

    def lose_the_race(*args: Any) -> dict[str, Any]:
        plans = preprocess(*args)
        torch.set_num_threads(4)
        return plans

    monkeypatch.setattr(fold, "preprocess", lose_the_race)
    train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0)
    assert torch.get_num_threads() == SETTINGS.threads
    assert (tmp_path / "fold" / WEIGHTS).read_bytes() == (trained / "fold" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("what", ["cut", "edited", "lost", "added"])
def test_training_data_that_are_not_what_was_written_are_refused(trained: Path, tmp_path: Path, what: str) -> None:
    """SimpleITK reads a volume that was cut as zeros, and the weights would be others under the same data digest."""
    shutil.copytree(trained / "prepare", tmp_path / "prepare")
    volume = tmp_path / "prepare/raw/imagesTr/case1_0000.nii.gz"
    content = volume.read_bytes()
    if what == "cut":
        volume.write_bytes(content[: len(content) * 3 // 4])
    elif what == "edited":
        shutil.copyfile(volume.with_name("case2_0000.nii.gz"), volume)
    elif what == "lost":
        volume.unlink()
    else:
        shutil.copyfile(volume, volume.with_name("case9_0000.nii.gz"))
    with pytest.raises(
        DatasetError, match=r"case\d_0000.nii.gz (is missing|was added|is not the file that was written)"
    ):
        train_fold(tmp_path / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0)
    assert not (tmp_path / "fold").exists()
    assert not any((tmp_path / "scratch").glob("preprocessed-*")), "nothing of it is kept"


def test_edited_folds_are_refused_also_where_the_data_are_preprocessed_already(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "prepare", tmp_path / "prepare")
    shutil.copytree(trained / "scratch", tmp_path / "scratch")
    manifest = read_json(tmp_path / "prepare/manifest.json")
    manifest["folds"][0]["train"].pop()
    write_json(tmp_path / "prepare/manifest.json", manifest)
    with pytest.raises(DatasetError, match=r"manifest.json is not the file that was written"):
        train_fold(tmp_path / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0)


def test_preprocessed_data_that_were_damaged_are_made_again(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "scratch", tmp_path / "scratch")
    (ready,) = (tmp_path / "scratch").glob("preprocessed-*")
    damaged = max((path for path in ready.rglob("case0*") if path.is_file()), key=lambda path: path.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0)
    assert f"{damaged.name} is not the file that was written" in capsys.readouterr().err
    assert (tmp_path / "fold" / WEIGHTS).read_bytes() == (trained / "fold" / WEIGHTS).read_bytes()


def test_no_two_resamplings_set_different_thread_counts(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    torch.set_num_threads(1)  # what each of them finds
    finer = SETTINGS.model_copy(update={"plan": PLAN.model_copy(update={"spacing_mm": [0.8, 0.8, 0.8]}), "threads": 3})
    counts: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(torch, "set_num_threads", counts.append)
        preprocess(trained / "prepare", finer, tmp_path / "preprocessed-x")
    assert len(counts) > 8, "four images and labels were resampled"
    assert set(counts) == {1}


def test_each_weight_is_stored_once_and_read_under_every_name(trained: Path, tmp_path: Path) -> None:
    path = trained / "fold" / WEIGHTS
    held, read = load_file(path), read_weights(path)
    assert len(held) * 2 < len(read), "nnU-Net names most weights two or three times"
    assert sum(array.nbytes for array in held.values()) * 2 < sum(array.nbytes for array in read.values())
    assert np.array_equal(
        read["decoder.encoder.stages.0.0.convs.0.all_modules.0.weight"], held["encoder.stages.0.0.convs.0.conv.weight"]
    )
    for folder in ("new", "old"):
        shutil.copytree(trained / "bundle", tmp_path / folder)
    save_file({name: np.array(array) for name, array in read.items()}, tmp_path / "old/fold_0" / WEIGHTS)
    new, old = (read_bundle(tmp_path / folder) for folder in ("new", "old"))
    assert old.digest == new.digest, "a bundle of an earlier version holds each weight three times"
    volume = volumes.read(trained / "prepare/raw/imagesTr/case3_0000.nii.gz")
    settings = PARAMS.segment.model_copy(update={"threads": 1})
    assert np.array_equal(Predictor(old, settings)(volume), Predictor(new, settings)(volume))


@pytest.mark.parametrize("names", [{"a": "absent"}, {"w": "v"}, {"a": "b", "b": "a"}, {"a": ["w"]}])
def test_another_name_of_a_weight_that_is_not_there_is_refused(tmp_path: Path, names: dict[str, str]) -> None:
    one = np.ones(2, np.float32)
    save_file({"w": one, "v": one}, tmp_path / WEIGHTS, metadata={"other_names": json.dumps(names)})
    with pytest.raises(BundleError, match=r"expected the name of a tensor that the file holds"):
        read_weights(tmp_path / WEIGHTS)


def test_success_deletes_the_state_and_another_seed_gives_other_weights(trained: Path, tmp_path: Path) -> None:
    assert not list((trained / "scratch").glob("train-*"))
    other = SETTINGS.model_copy(update={"seed": 2})
    train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", other, 0)
    weights = "weights.safetensors"
    assert (tmp_path / "fold" / weights).read_bytes() != (trained / "fold" / weights).read_bytes()


def test_changed_data_never_resume_the_state_of_other_data() -> None:
    same = state_digest("a", SETTINGS, 0)
    assert same == state_digest("a", SETTINGS.model_copy(update={"save_every": 9, "folds": [0, 1]}), 0)
    assert len({same, state_digest("b", SETTINGS, 0), state_digest("a", SETTINGS, 1)}) == 3
    assert same != state_digest("a", SETTINGS.model_copy(update={"epochs": 4}), 0)


def test_a_state_that_holds_a_pickle_is_not_run(trained: Path, tmp_path: Path) -> None:
    def kill(epoch: int) -> None:
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0, stop=kill)
    (state,) = (tmp_path / "scratch").rglob("checkpoint_latest.pth")
    state.write_bytes(pickle.dumps(_Payload(tmp_path / "pwned")))
    with pytest.raises(BundleError, match="cannot be resumed from"):
        train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 0)
    assert not (tmp_path / "pwned").exists()


class _Payload:
    """A hostile pickle: it creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_training_that_diverges_stops_with_a_sentence(trained: Path, tmp_path: Path) -> None:
    wild = SETTINGS.model_copy(update={"optimiser": SETTINGS.optimiser.model_copy(update={"learning_rate": 1e30})})
    with pytest.raises(BundleError, match="Training diverged: the loss of epoch"):
        train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", wild, 0)
    assert not (tmp_path / "fold").exists()


def test_a_fold_that_was_not_prepared_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"asks for fold 3, but prepare.folds made 1"):
        train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", SETTINGS, 3)
    assert not (tmp_path / "fold").exists()


def test_a_gpu_that_is_not_there_is_told_before_the_data_are_preprocessed(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = SETTINGS.model_copy(update={"device": "cuda"})
    with pytest.raises(SettingsError, match=r"train.device is cuda, and torch finds no GPU here"):
        train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", asked, 0)
    assert not (tmp_path / "scratch").exists()


def test_another_library_version_than_pinned_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"params\.yaml pins torch 0\.0\.1"):
        check_versions({"torch": "0.0.1"})
    check_versions(PARAMS.train.versions)


def test_the_bundle_finds_a_cord(trained: Path) -> None:
    predict = Predictor(read_bundle(trained / "bundle"), PARAMS.segment.model_copy(update={"threads": 1}))
    volume = volumes.read(trained / "prepare/raw/imagesTr/case3_0000.nii.gz")
    truth = volumes.read(trained / "prepare/raw/labelsTr/case3.nii.gz").data > 0
    soft = predict(volume)
    assert soft.shape == volume.data.shape
    assert soft.min() >= 0
    assert soft.max() <= 1
    both = ((soft >= 0.5) & truth).sum()
    assert 2 * both / ((soft >= 0.5).sum() + truth.sum()) > 0.6, "36 steps already find a bright ellipse"


def test_the_digest_is_that_of_the_content_alone(trained: Path, model: Path) -> None:
    before = read_bundle(model).digest
    write_json(model / "provenance.json", {"code": "other", "training": {}})
    (model / "notes.txt").write_text("anything")
    assert read_bundle(model).digest == before
    build_bundle({0: trained / "fold"}, trained / "prepare/manifest.json", model.parent / "again", "another")
    assert read_bundle(model.parent / "again").digest == before
    assert read_bundle(model.parent / "again").folds.keys() == {0}


@pytest.mark.parametrize("name", ["fold_0/weights.safetensors", "plans.json"])
def test_a_tampered_bundle_is_refused(model: Path, name: str) -> None:
    if name.endswith(".json"):
        value = read_json(model / name)
        value["plans"]["configurations"]["3d_fullres"]["patch_size"] = [32, 32, 32]
        write_json(model / name, value)
    else:
        content = bytearray((model / name).read_bytes())
        content[-1] ^= 1
        (model / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match="was changed after it was packaged"):
        read_bundle(model)


def test_a_bundle_whose_plan_names_another_class_is_refused_as_a_bundle(model: Path) -> None:
    value = read_json(model / "plans.json")
    _architecture(value["plans"])["network_class_name"] = "os.system"
    write_json(model / "plans.json", value)
    with pytest.raises(BundleError, match=r"plans\.json, configuration '3d_fullres': .*network_class_name"):
        read_bundle(model)


@pytest.mark.parametrize("name", ["fold_0/checkpoint_final.pth", "extra.pkl", "trainer.py"])
def test_a_bundle_with_a_pickle_or_code_in_it_is_refused(model: Path, name: str) -> None:
    (model / name).write_bytes(pickle.dumps(_Payload(model / "pwned")))
    with pytest.raises(BundleError, match="a bundle has no pickle, no code and no link"):
        read_bundle(model)
    assert not (model / "pwned").exists()


def test_a_pickle_named_as_weights_is_refused_unread(model: Path) -> None:
    (model / "fold_0/weights.safetensors").write_bytes(pickle.dumps(_Payload(model / "pwned")))
    with pytest.raises(BundleError, match="is not a safetensors file"):
        read_bundle(model)
    assert not (model / "pwned").exists()


def _architecture(plans: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plans["configurations"]["3d_fullres"]["architecture"]
    return found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: _architecture(p).update(network_class_name="os.system"), "network_class_name"),
        (lambda p: _architecture(p)["arch_kwargs"].update(conv_op="os.system"), "conv_op"),
        (lambda p: _architecture(p)["arch_kwargs"].update(features_per_stage=[10**6, 8, 8]), "features_per_stage"),
        (lambda p: _architecture(p)["arch_kwargs"].update(n_stages=4), "n_stages = 4 entries"),
        (lambda p: p["configurations"]["3d_fullres"].update(preprocessor_name="Evil"), "preprocessor_name"),
        (lambda p: p["configurations"]["3d_fullres"].update(resampling_fn_data="evil"), "resampling_fn_data"),
        (lambda p: p["configurations"]["3d_fullres"].update(extra=1), "unknown key"),
        (lambda p: p.update(transpose_forward=[0, 0, 1]), "orders of 0, 1, 2"),
        (lambda p: p["configurations"].clear(), "has no configuration"),
    ],
)
def test_a_plan_with_a_name_that_is_not_on_the_whitelist_is_refused(change: Any, sentence: str) -> None:
    plans = fixed_plans(PLAN, "3d_fullres")
    assert inference_plans(plans, "3d_fullres", "here") == plans, "reducing a reduced plan changes nothing"
    change(plans)
    with pytest.raises(BundleError, match=sentence):
        inference_plans(plans, "3d_fullres", "here")


def test_a_patch_that_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"patch_size \[16, 16, 15\] must be divisible by 4"):
        fixed_plans(PLAN.model_copy(update={"patch_size": [16, 16, 15]}), "3d_fullres")


@pytest.mark.slow
def test_nnunets_own_plan_passes_the_whitelist_and_trains(trained: Path, tmp_path: Path) -> None:
    """As in the full-size profile: nnU-Net measures the data, makes its own plan and trains its default network."""
    own = SETTINGS.model_copy(update={"plan": None, "epochs": 1, "iterations": 2})
    train_fold(trained / "prepare", tmp_path / "fold", tmp_path / "scratch", own, 0)
    build_bundle({0: tmp_path / "fold"}, trained / "prepare/manifest.json", tmp_path / "bundle", "test")
    model = read_bundle(tmp_path / "bundle")
    assert model.plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"][0] == 32
    assert not list((tmp_path / "scratch").glob("planning-*"))
    volume = volumes.read(trained / "prepare/raw/imagesTr/case3_0000.nii.gz")
    assert Predictor(model, PARAMS.segment)(volume).shape == volume.data.shape


def test_a_folder_that_is_not_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: it has no model\.json"):
        read_bundle(tmp_path)


def test_inference_settings_have_a_digest_of_their_own() -> None:
    base = inference_digest(PARAMS.segment)
    same = {"threads": 1, "shards": [0], "scheduler": "local"}
    assert base == inference_digest(PARAMS.segment.model_copy(update=same))
    changed = ({"step": 0.5}, {"mirror": not PARAMS.segment.mirror}, {"threshold": 0.4}, {"largest_component": False})
    assert len({base, *(inference_digest(PARAMS.segment.model_copy(update=update)) for update in changed)}) == 5


def test_nnunet_itself_installs_the_toolbox_zip_and_predicts_the_same(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.model_sharing import model_import

    model = read_bundle(trained / "bundle")
    shipped = Shipped.model_validate(PARAMS.segment.model_dump())
    write_toolbox_zip(model, tmp_path / "nnunet.zip", shipped)
    write_toolbox_zip(model, tmp_path / "again.zip", shipped)
    assert (tmp_path / "nnunet.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    monkeypatch.setattr(model_import, "nnUNet_results", str(tmp_path / "results"))
    model_import.install_model_from_zip_file(str(tmp_path / "nnunet.zip"))
    folder = tmp_path / "results/Dataset001_cord/nnUNetTrainer__nnUNetPlans__3d_fullres"
    settings = json.loads((folder / "inference.json").read_text(encoding="utf-8"))
    assert settings == {"step": PARAMS.segment.step, "mirror": True, "threshold": 0.5, "largest_component": True}
    said = (folder / "README.txt").read_text(encoding="utf-8")
    assert f"-d Dataset001_cord -c 3d_fullres -f 0 -step_size {PARAMS.segment.step:g}\n" in said
    assert "- after: keep the largest component only" in said
    predictor = nnUNetPredictor(
        tile_step_size=settings["step"], use_mirroring=settings["mirror"], allow_tqdm=False, device=_cpu()
    )
    predictor.initialize_from_trained_model_folder(str(folder), (0,), "checkpoint_final.pth")
    volume = volumes.read(trained / "prepare/raw/imagesTr/case3_0000.nii.gz")
    theirs = predictor.predict_single_npy_array(volume.data.transpose(2, 1, 0)[None], {"spacing": [1, 1, 1]})
    own = PARAMS.segment.model_copy(update={"largest_component": False, "threads": 1})
    ours = Predictor(model, own)(volume) >= 0.5
    # Our weights lie channels-last in memory: sums are rounded in another order, so a tie at 0.5 may fall either way.
    assert ours.any()
    assert (theirs.transpose(2, 1, 0) > 0).sum() == pytest.approx(ours.sum(), rel=1e-3)
    assert ((theirs.transpose(2, 1, 0) > 0) != ours).mean() < 1e-3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mirror": False}, "-step_size 0.75 --disable_tta\n"),
        ({"threshold": 0.4}, "voxels with a probability of 0.4 or more"),
    ],
)
def test_the_readme_of_the_zip_says_what_else_is_set(trained: Path, tmp_path: Path, changes: Any, says: str) -> None:
    shipped = Shipped(step=0.75, mirror=True, threshold=0.5, largest_component=False).model_copy(update=changes)
    write_toolbox_zip(read_bundle(trained / "bundle"), tmp_path / "nnunet.zip", shipped)
    with zipfile.ZipFile(tmp_path / "nnunet.zip") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("README.txt"))
        said = archive.read(name).decode()
    assert says in said
    assert "largest component" not in said


def _cpu() -> Any:
    import torch

    return torch.device("cpu")
