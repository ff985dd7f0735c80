"""`cordrift segment --list-models`: what there is, verified; what is broken or out of reach is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.bundles import make_bundle

from stages import segment_files
from stages.core.model.bundle.content import read_bundle
from stages.core.store.recorded_versions import RecordedVersion
from stages.core.workspace.bundles import listed
from stages.core.workspace.bundles.named import STARTER_FOLDER

pytestmark = pytest.mark.slow


class FakeStore:
    """A store with one model of two versions."""

    models = ("cord",)

    def of_model(self, model: str) -> list[RecordedVersion]:
        aliases = (("anchor", "champion"), ("candidate",))
        return [
            RecordedVersion(model, k + 1, "run", f"v{k + 1}", names, str(k) * 64) for k, names in enumerate(aliases)
        ]


def _said(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    segment_files.main(["--list-models"])
    return [line.split("  ") for line in capsys.readouterr().out.splitlines()]


def test_starter_bundle_and_every_alias_of_mlflow_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(Path("data/package"), tmp_path / "scratch")
    monkeypatch.setattr(listed, "open_recorded_versions", FakeStore)
    lines = _said(capsys)
    assert [line[0].strip() for line in lines] == [
        "starter", "data/package", "cord@anchor", "cord@champion", "cord@candidate",
    ]  # fmt: skip
    text = ["  ".join(line) for line in lines]
    assert read_bundle(STARTER_FOLDER).digest[:12] in text[0]
    assert text[0].endswith("verified")
    assert read_bundle(Path("data/package")).digest[:12] in text[1]
    assert "1" * 12 in text[4]
    assert "version 2" in text[4]


def test_a_damaged_bundle_and_a_store_out_of_reach_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(Path("data/package"), tmp_path / "scratch")
    (tmp_path / "data/package/plans.json").write_text("{}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    text = ["  ".join(line) for line in _said(capsys)]
    assert "cannot be used" in text[1]
    assert "MLflow cannot be read" in text[2]
    shutil.rmtree("data")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert len(_said(capsys)) == 1


def test_without_images_the_command_asks_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        segment_files.main([])
    assert "name at least one IMAGE (or --list-models)" in capsys.readouterr().err
