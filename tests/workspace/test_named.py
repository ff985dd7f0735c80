"""The bundle that `--model` names: the starter by its name, a folder of the same name by its path."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.bundles import make_bundle

from stages import segment_files
from stages.core.base.errors import SettingsError
from stages.core.base.files import read_json
from stages.core.images.volumes import read, write
from stages.core.model.bundle.content import read_bundle
from stages.core.model.bundle.localiser import LOCALISER_FOLDER
from stages.core.phantom.acquisition.grid import Grid, Pose
from stages.core.phantom.anatomy.draw import draw_anatomy
from stages.core.phantom.rendering.example import example_volume
from stages.core.phantom.rendering.render import cord_occupancy
from stages.core.workspace.bundles.named import STARTER_FOLDER, default_model, find_bundle
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    return make_bundle(folder / "package", folder / "scratch")


def test_the_starter_is_the_one_of_cordrift_wherever_one_is(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, "starter")
    assert find_bundle("starter").digest == read_bundle(STARTER_FOLDER).digest
    assert find_bundle("./starter").digest == read_bundle(bundle).digest


def test_without_a_name_it_is_the_bundle_of_the_workspace_else_the_starter(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_model() == "starter"
    Path("data/package").mkdir(parents=True)  # a stage that failed leaves an empty folder
    assert default_model() == "starter"
    shutil.copytree(bundle, "data/package", dirs_exist_ok=True)
    assert default_model() == "data/package"


@pytest.mark.parametrize("folder", [STARTER_FOLDER, LOCALISER_FOLDER], ids=lambda folder: folder.name)
def test_the_models_that_come_along_are_small_verified_and_of_no_person(folder: Path) -> None:
    model = read_bundle(folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert model.digest in card
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 10e6
    provenance = read_json(folder / "provenance.json")
    assert provenance["training"]["0"]["settings"]["painted"]["share"] == 1.0, "trained on painted anatomies alone"
    assert set(provenance["training"]["0"]["data"]["datasets"]) == {"phantom"}
    assert f"params/{folder.name}.yaml" in card
    recipe = load_params(ROOT / f"params/{folder.name}.yaml").train
    made = provenance["training"]["0"]["settings"]
    assert made == recipe.model_dump(), "the recipe in params is the one by which the model was made"


def test_the_starter_finds_a_cord_and_none_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    neck = example_volume()
    write(tmp_path / "neck.nii.gz", neck.data, neck.affine)
    air = np.random.default_rng(0).rayleigh(20, (64, 64, 64)).astype(np.float32)
    write(tmp_path / "air.nii.gz", air, np.eye(4))
    segment_files.main(["neck.nii.gz", "air.nii.gz", "--model", "starter"])
    said = capsys.readouterr()
    assert "segment: by starter, bundle" in said.out
    assert "air.nii.gz: no cord was found; its mask is empty" in said.err
    assert not read(Path("masks/air_label-SC_seg.nii.gz")).data.any()
    found = read(Path("masks/neck_label-SC_seg.nii.gz")).data >= 0.5
    anatomy = draw_anatomy(np.random.default_rng(1))
    grid = Grid.around((64.0, 64.0, 64.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    truth = cord_occupancy(anatomy, grid, Pose()) >= 0.5
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_a_name_of_nothing_says_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"'strater', which is no folder .* starter, .* --list-models"):
        find_bundle("strater")
