"""Monitoring of a bundle: what it is called, and what `monitor` takes as a bundle."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from support.cords import ROOT
from support.store_workspace import B, workspace

from stages import register
from stages.core.base.errors import BundleError, SettingsError
from stages.core.base.params import load_yaml
from stages.core.data.clones import annex
from stages.core.data.datasets.registry import FROZEN, REGISTRY, load_registry, read_frozen
from stages.core.workspace.bundles import named
from stages.core.workspace.runs import monitor
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow
#: A name that no profile of a lab has.
OWN = "unheard-of"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the registered version v1; what `monitor` would run is left out."""
    monkeypatch.chdir(workspace(tmp_path))
    register.main()
    for name in ("params", "dvc.yaml", "data/datasets.yaml", "data/frozen.csv", "data/persons.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("run_stages", "_export", "bring_bundle", "_planned"):
        monkeypatch.setattr(monitor, name, lambda *_, **__: [])

    def read(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(digest=(folder / "digest").read_text())

    for module in (monitor, named):
        monkeypatch.setattr(module, "read_bundle", read)
    (tmp_path / "data/package/digest").write_text("a" * 64)
    return tmp_path


def label_after(lab: Path, model: Path, label: str | None = None) -> object:
    monitor.monitor(lab, model, "demo", label, say=str)
    return load_yaml(lab / ".monitor/demo/params.yaml")["register"]["label"]


def test_a_registered_version_keeps_its_name(lab: Path) -> None:
    assert label_after(lab, lab / "data/package") == "v1"
    assert label_after(lab, lab / "data/package", "mine") == "mine", "a name that a person gives"
    (lab / "data/package/digest").write_text(B)
    assert label_after(lab, lab / "data/package") == B[:8]


def test_without_a_store_a_bundle_is_called_by_its_digest(lab: Path) -> None:
    (lab / "mlflow.db").unlink()
    assert label_after(lab, lab / "data/package") == "aaaaaaaa"
    assert not (lab / "mlflow.db").exists(), "no store is made for the question"


def test_the_zip_of_a_release_is_a_bundle_too(lab: Path) -> None:
    with zipfile.ZipFile(lab / "cordrift-bundle.zip", "w") as archive:
        archive.writestr("digest", "a" * 64)
    assert label_after(lab, lab / "cordrift-bundle.zip") == "v1"
    (lab / "no.zip").write_bytes(b"no zip")
    with pytest.raises(BundleError, match=r"no\.zip cannot be read as a zip"):
        label_after(lab, lab / "no.zip")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A lab's folder: two people, one contrast with disc labels, one without, and one that nothing belongs to."""
    folder = tmp_path / "study"
    image = nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4))
    for sub in ("sub-a1", "sub-b2"):
        for name in (
            f"{sub}/anat/{sub}_T1w",
            f"{sub}/anat/{sub}_T2w",
            f"{sub}/anat/{sub}_FLAIR",
            f"derivatives/labels/{sub}/anat/{sub}_T1w_label-discs_dlabel",
            f"derivatives/labels/{sub}/anat/{sub}_T2w_label-SC_seg",
        ):
            (folder / f"{name}.nii.gz").parent.mkdir(parents=True, exist_ok=True)
            nib.save(image, folder / f"{name}.nii.gz")
    return folder


def test_a_folder_is_monitored_without_a_profile(lab: Path, study: Path) -> None:
    before = {name: (lab / name).read_bytes() for name in ("params.yaml", "data/datasets.yaml", "data/frozen.csv")}
    said: list[str] = []
    monitor.monitor_images(lab, lab / "data/package", study, OWN, floors=False, say=said.append)
    work = lab / f".monitor/{OWN}"
    params = load_params(work / "params.yaml")
    assert (params.segment.datasets, params.segment.contrasts) == ([OWN], ["T1w"])
    assert (params.compare.min_contrasts, params.floor.participants) == (1, 0)
    assert (params.registration.model, params.registration.label) == (f"cord-{OWN}", "v1")
    own = load_registry(work / REGISTRY).datasets[OWN]
    assert set(own.contrasts["T1w"].model_dump(exclude_defaults=True)) == {"image", "discs"}
    assert own.commit == annex.commit_of(str(work / f"data/{OWN}"), "r1")
    assert [row.participant for row in read_frozen(work / FROZEN) if row.dataset == OWN] == ["sub-a1", "sub-b2"]
    assert any("Not registered: 2 images 'FLAIR'" in line for line in said)
    assert any("Not monitored: T2w has no disc labels" in line for line in said)
    assert before == {name: (lab / name).read_bytes() for name in before}, "the workspace stays as it is"


def test_what_cannot_be_monitored_is_a_sentence(lab: Path, study: Path, tmp_path: Path) -> None:
    def tried(images: Path, name: str) -> None:
        monitor.monitor_images(lab, lab / "data/package", images, name, say=str)

    with pytest.raises(SettingsError, match="no name of a profile: give another one with --name"):
        tried(study, "demo")
    with pytest.raises(SettingsError, match="is not a folder"):
        tried(tmp_path / "nowhere", OWN)
    shutil.rmtree(study / "derivatives/labels")
    with pytest.raises(SettingsError, match="holds no image with disc labels"):
        tried(study, OWN)
    assert not (lab / f".monitor/{OWN}").exists()
