"""The pool of painted anatomies: whole or not at all, and an interrupted call goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stages.core.base.files import read_json
from stages.core.base.inventory import faults_of
from stages.core.phantom.dataset import pool
from stages.core.phantom.dataset.pool import paint_pool
from stages.core.phantom.dataset.settings import Paint

SETTINGS = Paint(anatomies=3, size=[16, 18, 20], voxel_mm=1.0, seed=4, workers=1)


def _bytes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.npz")}


def test_no_anatomies_is_an_empty_pool(tmp_path: Path) -> None:
    """So the stage costs nothing, and its output stays the same whatever becomes of the code that paints."""
    paint_pool(SETTINGS.model_copy(update={"anatomies": 0}), tmp_path / "paint", tmp_path / "scratch")
    assert read_json(tmp_path / "paint/manifest.json")["maps"] == []
    assert sorted(path.name for path in (tmp_path / "paint").iterdir()) == ["inventory.json", "manifest.json"]


@pytest.mark.slow
def test_a_killed_call_goes_on_and_paints_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_pool(SETTINGS, tmp_path / "whole", tmp_path / "scratch")
    assert len(_bytes(tmp_path / "whole")) == 3

    class Killed(Exception):  # noqa: N818 - it stands for a signal
        pass

    def kill(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(pool, "write_inventory", kill)
    fewer = SETTINGS.model_copy(update={"anatomies": 2})
    (tmp_path / "scratch/paint-of-other-code").mkdir(parents=True)
    with pytest.raises(Killed):
        paint_pool(fewer, tmp_path / "again", tmp_path / "scratch")
    assert not (tmp_path / "again").exists()
    monkeypatch.undo()
    paint_pool(SETTINGS, tmp_path / "again", tmp_path / "scratch")
    assert _bytes(tmp_path / "again") == _bytes(tmp_path / "whole")
    assert not faults_of(tmp_path / "again")
    assert not (tmp_path / "scratch/paint-of-other-code").exists()
