"""What `cordrift measure` says of its result on the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.own_masks import CORD, run, write_masks

from stages import measure_files
from stages.core.base.errors import ImageError, SettingsError
from stages.core.images.volumes import write
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.own_masks import measurement


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_masks(tmp_path))
    return tmp_path


def test_the_result_is_said_in_a_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csa = run("mask.nii.gz", "--discs", "discs.nii.gz")["csa_mm2"][0]
    assert f"CSA at C2-C3: {csa:.2f} mm² (" in capsys.readouterr().out
    run("mask.nii.gz", "--per-slice")
    assert re.search(r"CSA of a slice: median \d+\.\d\d mm² .* over 30 slices", capsys.readouterr().out)
    write(place / "empty.nii.gz", np.zeros_like(CORD.data), CORD.affine)
    run("mask.nii.gz", "mask.nii.gz", "empty.nii.gz", "--discs", "discs.nii.gz")
    said = f"CSA at C2-C3: mean {csa:.2f}, SD 0.00 mm² over 2 masks ({csa:.2f} to {csa:.2f}), 1 without a value, 1 with"
    assert said in capsys.readouterr().out


def test_one_disc_alone_gives_a_sentence(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.zeros_like(CORD.data)
    labels[2, 2, 10] = 3
    write(place / "one.nii.gz", labels, CORD.affine)
    assert run("mask.nii.gz", "--discs", "one.nii.gz")["flags"][0] == "level_not_covered"
    told = capsys.readouterr()
    said = "C2-C3 lies between disc 2 and disc 4, and one.nii.gz has no disc 2 and no disc 4 (it has 3)"
    assert said in told.err
    assert "CSA at C2-C3: no value (level_not_covered)" in told.out
    run("mask.nii.gz", "--discs", "one.nii.gz", "--per-slice")
    assert "no disc 2" not in capsys.readouterr().err, "nobody asked for the range"


def test_what_exists_is_replaced_only_by_force(place: Path) -> None:
    Path("out.csv").write_text("mine")
    with pytest.raises(SettingsError, match=r"out.csv exists already; .*--force"):
        measure_files.main(["mask.nii.gz", "--per-slice", "-o", "out.csv"])
    Path("pictures").mkdir()
    Path("pictures/mask.png").write_text("mine")
    with pytest.raises(SettingsError, match=r"pictures/mask.png exists already"):
        measure_files.main(["mask.nii.gz", "--per-slice", "-o", "new.csv", "--figures", "pictures"])
    assert (Path("out.csv").read_text(), Path("pictures/mask.png").read_text()) == ("mine", "mine")
    assert len(run("mask.nii.gz", "--per-slice")) == 30


def test_what_the_ruler_refuses_is_said_with_the_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ImageError("no cord here")

    monkeypatch.chdir(write_masks(tmp_path))
    monkeypatch.setattr(measurement, "measure_sections", refuse)
    with pytest.raises(ImageError, match=r"mask.nii.gz: no cord here"):
        measurement.measure_file(Path("mask.nii.gz"), None, Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0))
    failed = measurement.MeasuredFile(Path("mask.nii.gz"), pd.DataFrame(), problem="too short")
    with pytest.raises(ImageError, match=r"mask.nii.gz was not measured: too short"):
        measurement.write_picture(failed, tmp_path / "out.png", None)
    assert not (tmp_path / "out.png").exists()
