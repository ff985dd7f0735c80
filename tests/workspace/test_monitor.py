"""Monitoring of a bundle: what it is called, and what `monitor` takes as a bundle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.cords import ROOT
from support.store_workspace import B, workspace

from stages import register
from stages.core.base.errors import BundleError
from stages.core.base.params import load_yaml
from stages.core.workspace.runs import monitor

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the registered version v1; what `monitor` would run is left out."""
    monkeypatch.chdir(workspace(tmp_path))
    register.main()
    for name in ("params", "dvc.yaml", "data/datasets.yaml", "data/frozen.csv", "data/persons.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("run_stages", "_export", "bring_bundle"):
        monkeypatch.setattr(monitor, name, lambda *_, **__: None)

    def read(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(digest=(folder / "digest").read_text())

    monkeypatch.setattr(monitor, "read_bundle", read)
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
