"""Scratch workspaces, adopted folders, the command line, and the final check of the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from support.drift_factory import bias_row, drift_record, prior_record, verdict

from stages import cli
from stages.core.base.errors import CordriftError, PipelineError
from stages.core.base.files import read_csv, write_csv, write_json
from stages.core.data.clones import annex
from stages.core.data.clones.adoption import adopt
from stages.core.data.datasets.registry import REGISTRY, load_registry
from stages.core.demo.check import dice_figures, figure_lines, loop_figures, real_figures
from stages.core.drift.record.record import read_drift, write_drift
from stages.core.images.volumes import is_pointer
from stages.core.workspace.runs.workspace import make_workspace, run_dvc
from stages.core.workspace.runs.yaml_edit import edit_yaml

ROOT = Path(__file__).parents[2]


def test_a_workspace_holds_what_the_pipeline_needs_and_nothing_of_the_lab(tmp_path: Path) -> None:
    make_workspace(ROOT, tmp_path / "work", "real-cord")
    work = tmp_path / "work"
    assert (work / "params.yaml").read_bytes() == (ROOT / "params/real-cord.yaml").read_bytes()
    declared = yaml.safe_load((work / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage in declared.values():
        for dep in stage["deps"]:
            if dep.startswith("stages/"):
                assert (work / dep).exists(), dep
    assert not {".git", ".venv", "mlflow.db", "reports", "tests"} & {path.name for path in work.iterdir()}


def test_addresses_of_datasets_still_lead_to_the_same_place(tmp_path: Path) -> None:
    make_workspace(ROOT, tmp_path / "deep/work", "demo")
    moved = load_registry(tmp_path / "deep/work" / REGISTRY).datasets
    for name, entry in load_registry(ROOT / REGISTRY).datasets.items():
        if ":" in entry.url:
            assert moved[name].url == entry.url
        else:
            assert (tmp_path / "deep/work" / moved[name].url).resolve() == (ROOT / entry.url).resolve()
            assert not Path(moved[name].url).is_absolute(), (
                "a manifest must not contain an absolute path of this machine"
            )


def test_making_it_again_keeps_outputs(tmp_path: Path) -> None:
    make_workspace(ROOT, tmp_path / "work", "demo")
    (tmp_path / "work/reports").mkdir()
    (tmp_path / "work/reports/kept.txt").write_text("kept")
    (tmp_path / "work/stages/stale.py").write_text("")
    make_workspace(ROOT, tmp_path / "work", "demo")
    assert (tmp_path / "work/reports/kept.txt").read_text() == "kept"
    assert not (tmp_path / "work/stages/stale.py").exists(), (
        "code that was deleted in the checkout must be deleted here too"
    )


def test_a_folder_without_a_pipeline_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CordriftError, match=r"has no dvc.yaml: run this in a checkout"):
        make_workspace(tmp_path, tmp_path / "work", "demo")
    assert not (tmp_path / "work").exists()


def test_a_failing_dvc_is_a_sentence(tmp_path: Path) -> None:
    make_workspace(ROOT, tmp_path / "work", "demo")
    edit_yaml(tmp_path / "work/params.yaml", lambda params: params["fetch"].update(datasets=["fantom"]))
    with pytest.raises(PipelineError, match=r"`dvc repro` failed in .* run the same command again"):
        run_dvc(tmp_path / "work", "repro")


def test_edits_keep_comments(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params/demo.yaml").read_bytes())
    edit_yaml(path, lambda params: params["register"].update(label="v7"))
    before = (ROOT / "params/demo.yaml").read_text(encoding="utf-8").splitlines()
    after = path.read_text(encoding="utf-8").splitlines()
    assert len(before) == len(after)
    assert [line for line in after if "#" in line] == [line for line in before if "#" in line]
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["register"]["label"] == "v7"


def test_a_plain_folder_becomes_a_dataset_and_is_only_read(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / "sub-a/anat").mkdir(parents=True)
    image = plain / "sub-a/anat/sub-a_T1w.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), image)
    image.chmod(0o444)
    before = image.read_bytes()
    commit = adopt(plain, tmp_path / "out", "r1")
    assert adopt(plain, tmp_path / "out", "r1") == commit, "a second call must find the dataset"
    assert annex.commit_of(str(tmp_path / "out"), "r1") == commit
    annex.clone(str(tmp_path / "out"), tmp_path / "clone", commit, "r1")
    assert is_pointer(tmp_path / "clone/sub-a/anat/sub-a_T1w.nii.gz")
    assert image.read_bytes() == before
    (plain / "sub-a/anat/new.json").write_text("{}")
    with pytest.raises(CordriftError, match=r"was made of other files than .* \(new.json\)"):
        adopt(plain, tmp_path / "out", "r1")
    with pytest.raises(CordriftError, match="is not a folder"):
        adopt(tmp_path / "absent", tmp_path / "other", "r1")
    with pytest.raises(CordriftError, match="exists and is no dataset"):
        adopt(plain, plain, "r1")


def test_every_command_has_a_module_with_main() -> None:
    named = {name.replace("-", "_") for name in (*cli.STAGES, *cli.COMMANDS)}
    for name in named:
        assert (ROOT / f"stages/{name}.py").is_file()
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__", "cli"}
    # `cordrift measure`, `check` and `segment` with files as arguments run these.
    assert modules == named | {"measure_files", "check_files", "segment_files"}


def _cordrift(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.cli", *words]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_a_misspelt_command_and_a_wrong_place_are_one_line_without_a_trace(tmp_path: Path) -> None:
    misspelt = _cordrift("monitr", cwd=tmp_path)
    assert misspelt.returncode == 2
    assert "there is no command 'monitr' (did you mean 'monitor'?)" in misspelt.stderr
    lost = _cordrift("profile", "demo", cwd=tmp_path)
    assert lost.returncode == 1
    assert lost.stderr.startswith("cordrift: `cordrift profile` works in a workspace, and")
    assert "Traceback" not in misspelt.stderr + lost.stderr


CONTRASTS = ["T1w", "T2w", "T2star", "MTon", "MToff", "DWI"]
SEEN = dict.fromkeys(CONTRASTS[:3], 0.93)
UNSEEN = dict.fromkeys(CONTRASTS[3:], 0.70)


def _outputs(work: Path) -> None:
    """Write the outputs of a demo that reached all figures."""
    people = [f"sub-{index}" for index in range(6)]
    rows = [{"participant": person, "contrast": name, "dice": 0.94} for person in people for name in CONTRASTS]
    write_csv(work / "reports/measure/agreement.csv", pd.DataFrame(rows))
    real = [{"contrast": name, "dice": 0.85, "flags": ""} for name in CONTRASTS[:5]]
    real.append({"contrast": "DWI", "dice": np.nan, "flags": "no_reference"})
    write_csv(work / "data/monitored/real-cord/agreement.csv", pd.DataFrame(real))
    write_json(work / "reports/register/receipt.json", {"version": "2", "aliases": ["candidate"]})
    record = drift_record(verdict=verdict("drifted", quality="better"))
    write_drift(work / "reports/compare/drift.json", record)
    (work / "reports/report").mkdir()
    (work / "reports/report/index.html").write_text("", encoding="utf-8")


def check(work: Path, dice_v1: dict[str, float], *, with_real: bool, aliases: tuple[str, ...]) -> bool:
    """Print the figures of the demo in full size and tell whether all are reached."""
    figures = (
        loop_figures(work, aliases) + dice_figures(work, dice_v1) + (real_figures(work, "v2") if with_real else [])
    )
    print("\n".join(figure_lines(figures)))
    return all(figure.good for figure in figures)


def _dice(work: Path, name: str, value: float, rows: slice) -> None:
    table = read_csv(work / name, text=("contrast", "flags", "participant"))
    table.loc[table.index[rows], "dice"] = value
    write_csv(work / name, table)


def _drift(work: Path, **changes: object) -> None:
    path = work / "reports/compare/drift.json"
    write_drift(path, read_drift(path).model_copy(update=changes))


FROZEN, REAL = "reports/measure/agreement.csv", "data/monitored/real-cord/agreement.csv"


def test_the_demos_check_passes_where_all_is_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _outputs(tmp_path)
    assert check(tmp_path, {**SEEN, **UNSEEN}, with_real=True, aliases=("anchor", "champion"))
    assert "FAILED" not in capsys.readouterr().out
    assert not check(tmp_path, {**SEEN, **UNSEEN}, with_real=True, aliases=("candidate",)), "v2 was not promoted"


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda work: _dice(work, FROZEN, 0.92, slice(None)), "v2 mean Dice 0.920"),
        (lambda work: _dice(work, FROZEN, float("nan"), slice(0, 1)), "v2 failed on 1 of 36"),
        (lambda work: _dice(work, FROZEN, 0.0, slice(0, 1)), "v2 failed on 1 of 36"),
        (lambda work: _dice(work, REAL, 0.79, slice(0, 1)), "v2 Dice on real T1w 0.790"),
        (lambda work: _dice(work, REAL, float("nan"), slice(0, 1)), "v2 Dice on real T1w nan"),
        (lambda work: _drift(work, priors=[]), "compared with 0 prior"),
        (
            lambda work: _drift(work, verdict=verdict("equivalent")),
            "v2 against v1",
        ),
        (
            lambda work: write_json(work / "reports/register/receipt.json", {"version": "1", "aliases": ["champion"]}),
            "MLflow version 1",
        ),
        (lambda work: write_csv(work / FROZEN, read_csv(work / FROZEN).iloc[1:]), "frozen participants 6"),
        (lambda work: _drift(work, priors=[prior_record(pooled=bias_row(n=5))]), "all of them compared"),
        (lambda work: _dice(work, FROZEN, float("nan"), slice(None)), "v2 measured: mean Dice nan of 0 images"),
        (lambda work: (work / "reports/report/index.html").unlink(), "the drift report"),
    ],
)
def test_each_figure_of_the_demos_check_can_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], line: str
) -> None:
    _outputs(tmp_path)
    spoil(tmp_path)
    assert not check(tmp_path, {**SEEN, **UNSEEN}, with_real=True, aliases=("anchor", "champion"))
    assert any(row.startswith("FAILED") and line in row for row in capsys.readouterr().out.splitlines())


def test_a_tiny_model_is_held_to_no_dice_but_its_loop_must_close(tmp_path: Path) -> None:
    _outputs(tmp_path)
    _dice(tmp_path, FROZEN, 0.1, slice(None))
    assert all(figure.good for figure in loop_figures(tmp_path, ("anchor", "champion")))
    _drift(tmp_path, priors=[prior_record(pooled=bias_row(n=0))])
    figures = loop_figures(tmp_path, ("anchor", "champion"))
    assert not all(figure.good for figure in figures), "the versions share no measured image"


@pytest.mark.parametrize("v1", [{**SEEN, **dict.fromkeys(UNSEEN, 0.92)}, {**dict.fromkeys(SEEN, 0.7), **UNSEEN}, SEEN])
def test_a_first_version_that_is_not_worse_on_unseen_contrasts_fails_the_check(
    tmp_path: Path, v1: dict[str, float]
) -> None:
    _outputs(tmp_path)
    assert not check(tmp_path, v1, with_real=False, aliases=("anchor", "champion"))
