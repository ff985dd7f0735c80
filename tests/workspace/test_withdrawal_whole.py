"""A withdrawal from end to end: before a training with the data, and after one."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.data_factory import (
    ROOT,
    entry,
    make_dataset,
)
from support.data_factory import workspace as data_workspace
from support.hunt import Person, hunt
from support.micro import micro_workspace
from support.withdrawal import commands_with, contents_of, holds, section, shell

from stages import withdraw
from stages.core.base.files import read_csv, read_json
from stages.core.data.datasets.manifest import CLONES, read_manifest
from stages.core.measures.kept_masks.zips import pack
from stages.core.model.lineage.manifest import IN_BUNDLE
from stages.core.release.jobs.archive import copy_masks, write_record
from stages.core.release.jobs.names import RECORD_ZIP
from stages.core.store.run_content import collect_run_content
from stages.core.workspace.runs.params import load_params
from stages.core.workspace.runs.workspace import dvc_environment, make_workspace

PEOPLE = {"sub-a1": "s1", "sub-a2": "s1", "sub-a3": "s2", "sub-f1": "s1", "sub-f2": "s2"}
FROZEN = [("sub-f1", "frozen"), ("sub-f2", "frozen")]

#: What says of a participant only that the data are left out, and the lists of the lab that keep them out.
LEFT_OUT = (
    *("data/datasets.yaml", "data/frozen.csv", "dvc.lock", "data/fetch/micro.json", "data/fetch/micro-frozen.json"),
    *("data/prepare/manifest.json", "training_data.json"),
)


def _make_release(work: Path, scratch: Path) -> None:
    """Write what a judged release publishes of participants, with the code of the release's job."""
    params = load_params(work / "params.yaml")
    (scratch / "masks").mkdir(parents=True)
    assets = work / "release/assets"
    assets.mkdir(parents=True)
    record = collect_run_content("v1", params.segment, scratch / "masks", work)
    copy_masks(record, assets / "kept_masks.zip", scratch)
    write_record(assets / RECORD_ZIP, record, {}, scratch)
    pack(assets / "figures.zip", {path.name: path for path in (work / "reports/report/figures").iterdir()})
    shutil.copyfile(work / "reports/report/index.html", assets / "report.html")


def _repro(folder: Path, *stages: str) -> None:
    command = [sys.executable, "-m", "dvc", "repro", *stages]
    done = subprocess.run(command, cwd=folder, env=dvc_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which the real stages up to prepare ran, with a DVC remote, and a sibling of the source."""
    commit = make_dataset(tmp_path / "src", PEOPLE)
    work = tmp_path / "work"
    make_workspace(ROOT, work, "demo")
    url = str(tmp_path / "src")
    data_workspace(work, {"ds": entry(url, commit), "frozen": entry(url, commit, role="test")}, FROZEN)
    shell(f"dvc remote add --default lab {tmp_path / 'remote'}", work)
    _repro(work, "prepare")
    shell("dvc push --run-cache", work)
    shell("git clone -q src sib && git -C sib annex init -q", tmp_path)
    shell("git remote add lab ../sib && git annex copy -q --to lab", tmp_path / "src")
    monkeypatch.chdir(work)
    return work


def _prepared_md5s(work: Path, sub: str) -> list[str]:
    files = [path for path in (work / "data/prepare/raw").rglob(f"*_{sub}_*") if path.is_file()]
    return [hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in files]


def _objects(folder: Path, md5s: list[str]) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "".join(path.parts[-2:]) in md5s]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("warm_stages")
def test_end_to_end_up_to_training(prepared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    work, source = prepared, prepared.parent / "src"
    theirs = {sub: contents_of(source, sub) for sub in ("sub-a1", "sub-f1")}
    md5s = _prepared_md5s(work, "sub-a1")
    assert len(md5s) == 4
    assert len(_objects(work / ".dvc/cache", md5s)) == len(_objects(work.parent / "remote", md5s)) == 4
    for name, case in (("1", "ds_sub-a1_T1w"), ("2", "ds_sub-a2_T1w")):
        state = Path(f"data/scratch/preprocessed-{name}")
        (state / "cord").mkdir(parents=True)
        (state / f"cord/{case}.b2nd").write_bytes(b"x")
        Path(f"data/scratch/train-{name}").mkdir()
        Path(f"data/scratch/train-{name}/preprocessed").symlink_to(state.resolve())
    assert holds(work / "data", "sub-a1", theirs["sub-a1"])

    withdraw.main(["sub-a1", "--reason", "asked for it"])

    text = capfd.readouterr().out
    for name in ("fetch", "prepare", "clones", "check", "scratch"):
        assert holds(work / "data" / name, "sub-a1", theirs["sub-a1"]) == []
    states = {path.name for path in Path("data/scratch").iterdir()}
    assert {name for name in states if not name.startswith("check-")} == {"preprocessed-2", "train-2"}
    remembered = [path.read_text() for path in Path("data/scratch").glob("check-*/*.json")]
    assert remembered
    assert not [one for one in remembered if "sub-a1" in one]
    manifest = read_json(work / "data/prepare/manifest.json")
    assert {case["participant"] for case in manifest["cases"]} == {"sub-a2", "sub-a3"}
    assert {"sub-a1"} == {
        one["participant"] for one in manifest["left_out"] if one["reason"] == "withdrawn: asked for it"
    }
    assert "sub-a1" not in {case.participant for case in read_manifest(work / "data/fetch/ds.json").cases}
    assert "dvc repro --single-item fetch@ds fetch@frozen check@ds check@frozen prepare" in text
    assert section(text, "Kept in this workspace").splitlines()[0] == "  nothing"
    assert "data/clones/ds/participants.tsv" in section(text, "Rows in the tables of the source datasets")
    assert "there is no store, so no version was registered" in text
    # the cache still holds the data until the printed commands are run
    assert len(_objects(work / ".dvc/cache", md5s)) == 4
    assert len(commands_with(text, "dvc")) == 3
    for command in commands_with(text, "dvc"):
        shell(command, work)
    assert _objects(work / ".dvc/cache", md5s) == _objects(work.parent / "remote", md5s) == []
    assert not (work / ".dvc/cache/runs").exists()
    shell("rm -r data/prepare && dvc pull prepare", work)
    assert read_json(work / "data/prepare/manifest.json") == manifest, "the outputs in use must stay in the remote"
    # the source and its sibling still hold the data too
    assert holds(source, "no-one", theirs["sub-a1"])
    assert holds(source.parent / "sib", "no-one", theirs["sub-a1"])
    commands = [line for line in commands_with(text, "git -C") if str(source) in line]
    assert len(commands) == 6
    for command in commands:
        shell(command, work)
    assert holds(source, "sub-a1", theirs["sub-a1"]) == []
    assert holds(source.parent / "sib", "no-one", theirs["sub-a1"]) == []
    assert holds(source, "no-one", contents_of(work / CLONES / "ds", "sub-a2")), (
        "the data of other participants must stay"
    )

    # a second run changes nothing and prints the same
    before = {
        path: path.read_bytes() for path in (work / "data").rglob("*") if path.is_file() and ".git" not in path.parts
    }
    withdraw.main(["sub-a1", "--reason", "asked for it"])
    again = capfd.readouterr().out
    assert "recorded before; the reason of that time stays" in again
    after = {
        path: path.read_bytes() for path in (work / "data").rglob("*") if path.is_file() and ".git" not in path.parts
    }
    assert after == before

    # a frozen participant
    withdraw.main(["sub-f1", "--reason", "asked too"])
    text = capfd.readouterr().out
    for name in ("fetch", "prepare", "clones", "check"):
        assert holds(work / "data" / name, "sub-f1", theirs["sub-f1"]) == []
    assert {case.participant for case in read_manifest(work / "data/fetch/frozen.json").cases} == {"sub-f2"}
    assert "sub-f1 of frozen: in the frozen set. data/frozen.csv is not changed" in text
    assert "sub-f1" in Path("data/frozen.csv").read_text()
    assert "sub-f1" not in {case["participant"] for case in read_json(work / "data/prepare/manifest.json")["cases"]}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("warm_stages")
@pytest.mark.timeout(1200)
def test_end_to_end_after_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Run the pipeline on the micro cohort, then withdraw a frozen participant and one of the training data."""
    work = tmp_path / "work"
    micro_workspace(work, tmp_path / "cohort")
    _repro(work)
    monkeypatch.chdir(work)
    gone, *others = sorted({case.participant for case in read_manifest(work / "data/fetch/micro-frozen.json").cases})
    person = Person(gone, [work / "data/clones", work / "reports/segment", work / "data/prepare"])
    _make_release(work, tmp_path / "scratch")
    drawn = {name for name, reasons in hunt(work, person).items() if "picture" in reasons}
    assert {"reports/report/index.html", "release/assets/figures.zip"} <= drawn, "else the hunt would find nothing"
    trained = read_json(work / "data/prepare/manifest.json")["cases"]
    learnt = next(case["participant"] for case in trained if case["contrast"] != "synth")
    capfd.readouterr()

    withdraw.main([gone, "--reason", "asked"])

    text = capfd.readouterr().out
    assert "segment@micro-frozen-0" in section(text, "Rebuilt")
    assert re.search(r"masks.zip \(\d+ files of the participant\)", section(text, "Masks and measures kept in MLflow"))
    assert "0 of 1 in MLflow" in section(text, "Model versions trained on the data")
    for table in ("measures", "agreement"):
        rows = read_csv(work / f"reports/measure/{table}.csv", text=("participant",))
        assert set(rows["participant"]) == set(others)
    kept = section(text, "Kept in this workspace").split()
    assert kept
    later = ("reports/compare/", "reports/floor/", "reports/report/", "release/assets/")
    assert all(path.startswith(later) for path in kept), "else `dvc repro` and a removal of release/ do not reach it"
    in_runs = re.findall(r"run \w+: (\S+)", section(text, "Masks and measures kept in MLflow"))
    rows = section(text, "Rows in the tables of the source datasets").split()
    for name, reasons in hunt(work, person).items():
        artifact = name.partition("/artifacts/")[2]
        listed = name in kept or artifact in in_runs or name in rows or name.startswith(".dvc/cache/")
        assert listed or (reasons == {"text"} and name.endswith(LEFT_OUT)), (name, reasons)

    _repro(work)
    shutil.rmtree(work / "release")
    for command in (*commands_with(text, "dvc"), *commands_with(text, "delete_artifacts")):
        shell(command, work)
    for name, reasons in hunt(work, person).items():
        told = name in rows or name.endswith(LEFT_OUT) or name.partition("/artifacts/")[2] in in_runs
        assert reasons == {"text"}, (name, reasons)
        assert told or name.startswith(".dvc/cache/"), name

    withdraw.main([learnt, "--reason", "asked"])

    text = capfd.readouterr().out
    listed = section(text, "Model versions trained on the data")
    assert "data/package of this workspace" in listed
    assert f"cases by name (micro_{learnt}_" in listed
    assert "1 of 1 in MLflow" in listed
    assert f"data/package/{IN_BUNDLE}" in section(text, "Kept in this workspace").split()
    assert learnt not in {case["participant"] for case in read_json(work / "data/prepare/manifest.json")["cases"]}
