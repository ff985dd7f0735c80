"""The whole pipeline on the micro cohort: two versions, repeated runs without changes, and removed data."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.micro import CONTRASTS, ROOT, grow, micro_workspace
from support.own_folder import make_folder

from stages import monitor as monitor_command
from stages import segment_files
from stages.core.base.files import read_csv, read_json, write_csv
from stages.core.base.params import load_yaml
from stages.core.data.clones import annex
from stages.core.data.datasets.label import sidecar_of
from stages.core.data.datasets.registry import FROZEN, PERSONS, REGISTRY, read_frozen
from stages.core.drift.record.record import read_drift
from stages.core.tables.change import CHANGE_TEXT
from stages.core.tables.columns import MEASURES_TEXT
from stages.core.tables.monitored import range_csa
from stages.core.workspace.runs.monitor import monitor
from stages.core.workspace.runs.params import load_params
from stages.core.workspace.runs.workspace import dvc_environment
from stages.core.workspace.runs.yaml_edit import edit_yaml
from stages.core.workspace.withdrawal.holdings import holding_of, shows_people

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.usefixtures("warm_stages")]
REAL = ROOT.parent / "shared" / "real-cord"
SCRATCH = re.compile(r"^(\.dvc/(tmp|cache)|mlflow\.db|data/clones|data/scratch)")


@dataclass(frozen=True)
class State:
    """The result of one `dvc repro`: its output, the hashes of all files, and the row counts of the store."""

    output: str
    files: dict[str, str]
    store: dict[str, int]

    @property
    def ran(self) -> set[str]:
        return set(re.findall(r"Running stage '([^']+)'", self.output))


def _repro(folder: Path) -> State:
    command = [sys.executable, "-m", "dvc", "repro"]
    done = subprocess.run(command, cwd=folder, env=dvc_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not SCRATCH.match(path.relative_to(folder).as_posix())
    }
    tables = ("experiments", "runs", "model_versions", "registered_model_aliases", "metrics", "params", "tags")
    with sqlite3.connect(folder / "mlflow.db") as store:
        counts = {name: int(store.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]) for name in tables}  # noqa: S608
    return State(done.stdout, files, counts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="module")
def first(folder: Path) -> State:
    micro_workspace(folder / "work", folder / "cohort")
    return _repro(folder / "work")


@pytest.fixture(scope="module")
def rested(folder: Path, first: State) -> State:
    return _repro(folder / "work")


@pytest.fixture(scope="module")
def second(folder: Path, rested: State) -> State:
    grow(folder / "work", folder / "cohort")
    return _repro(folder / "work")


def test_the_first_version_becomes_champion_and_is_reported(folder: Path, first: State) -> None:
    assert first.ran >= {
        "fetch@micro",
        "prepare",
        "train@0",
        "package",
        "check@micro",
        "segment@micro-frozen-0",
        "measure",
        "register",
    }
    receipt = read_json(folder / "work/reports/register/receipt.json")
    assert receipt["version"] == "1"
    assert "champion" in receipt["aliases"]
    assert read_drift(folder / "work/reports/compare/drift.json").priors == []
    assert "v1" in (folder / "work/reports/report/index.html").read_text(encoding="utf-8")
    assert not list((folder / "work/data/scratch").glob("train-*")), "a finished training must delete its state"


def test_a_second_repro_runs_only_what_asks_mlflow_and_changes_nothing(first: State, rested: State) -> None:
    assert rested.ran == {"declare", "history", "register"}
    assert "register: the MLflow store and everything that is read are as they were" in rested.output
    assert rested.files == first.files, "no file may change"
    assert rested.store == first.store, "MLflow must not gain a run, version or metric"


def test_a_grown_dataset_retrains_and_the_second_version_is_compared_with_the_first(
    folder: Path, rested: State, second: State
) -> None:
    work = folder / "work"
    assert "train@0" in second.ran
    assert "fetch@micro-frozen" not in second.ran, "larger training data must not change the frozen set"
    receipt = read_json(work / "reports/register/receipt.json")
    assert (receipt["version"], receipt["aliases"]) == ("2", ["candidate"])
    assert second.store["model_versions"] == rested.store["model_versions"] + 1
    (prior,) = read_drift(work / "reports/compare/drift.json").priors
    assert (prior.label, prior.comparable) == ("v1", True)
    spread = read_csv(work / "reports/compare/csa_std.csv", text=("version", "participant"))
    assert spread["version"].nunique() == 3, "two versions, and the ground truth once"
    assert not spread.duplicated(["version", "participant"]).any()
    html = (work / "reports/report/index.html").read_text(encoding="utf-8")
    assert "v1" in html
    assert "v2" in html


def test_it_rests_again_beside_a_prior(folder: Path, second: State) -> None:
    again = _repro(folder / "work")
    assert again.ran == {"declare", "history", "register"}
    assert again.files == second.files
    assert again.store == second.store


def test_frozen_participants_never_reach_training(folder: Path, second: State) -> None:
    frozen = set(read_csv(folder / "work" / FROZEN)["participant"])
    manifest = read_json(folder / "work/data/prepare/manifest.json")
    assert frozen
    assert not frozen & {case["participant"] for case in manifest["cases"]}


def test_masks_are_derivatives_that_name_model_and_source(folder: Path, second: State) -> None:
    digest = read_json(folder / "work/data/package/model.json")["digest"]
    sidecars = sorted((folder / "work/reports/segment").rglob("*_label-SC_seg.json"))
    assert sidecars
    for path in sidecars:
        value = read_json_plain(path)
        assert value["bundle"] == digest
        assert value["Sources"][0].startswith("bids:micro-frozen:sub-")


def read_json_plain(path: Path) -> dict[str, object]:
    import json

    value: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return value


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/real-cord is not beside this checkout")
def test_an_image_of_its_own_gets_the_mask_of_the_pipeline(
    folder: Path, second: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command, with the version's bundle from MLflow and the settings of the stage."""
    work = folder / "work"
    monkeypatch.chdir(work)
    settings = load_params(work / "params.yaml").segment
    alias = read_json(work / "reports/register/receipt.json")["aliases"][0]
    theirs = sorted((work / "reports/segment").rglob("*_T2w_label-SC_probseg.nii.gz"))[0]
    image = work / "data/clones/micro-frozen" / theirs.as_posix().partition("/micro-frozen/0/micro-frozen/")[2]
    words = ["--step", str(settings.step), "--threshold", str(settings.threshold), "--threads", str(settings.threads)]
    words += ["--whole", *(["--mirror"] if settings.mirror else [])]
    original = image.with_name(image.name.replace("_label-SC_probseg", ""))
    segment_files.main([str(original), "--model", f"cord-micro@{alias}", "-o", str(tmp_path), "--soft", *words])
    for kind in ("seg", "probseg"):
        name = theirs.name.replace("probseg", kind)
        mine = next(tmp_path.rglob(name))
        assert mine.read_bytes() == theirs.with_name(name).read_bytes()
        said, before = (json.loads(sidecar_of(path).read_text()) for path in (mine, theirs.with_name(name)))
        assert {key: said[key] for key in ("bundle", "inference")} == {
            key: before[key] for key in ("bundle", "inference")
        }


def test_every_output_is_in_the_list_of_what_can_hold_a_participant(folder: Path, second: State) -> None:
    """A new output, or a new figure, fails here until somebody has decided what it can hold (holdings.py)."""
    work = folder / "work"
    names = [
        path.relative_to(work).as_posix()
        for top in ("data", "reports", "mlartifacts")
        for path in (work / top).rglob("*")
        if path.is_file() and ".git" not in path.parts
    ]
    tables = {REGISTRY.as_posix(), FROZEN.as_posix(), PERSONS.as_posix()}
    outputs = [name for name in names if name not in tables and not name.endswith((".gitignore", ".lock-micro"))]
    assert [name for name in outputs if holding_of(name) is None] == []
    people = {case["participant"] for case in read_json(work / "data/fetch/micro.json")["cases"]}
    people |= {case["participant"] for case in read_json(work / "data/fetch/micro-frozen.json")["cases"]}
    for name in outputs:
        found = holding_of(name)
        assert found is not None
        if name.endswith((".nii.gz", "masks.zip")):
            assert found.masks, name
        if not found.ids and name.endswith((".json", ".csv", ".html")):
            text = (work / name).read_text(encoding="utf-8")
            assert not [sub for sub in people if sub in text], name
    drawn = {Path(name).stem for name in outputs if name.startswith("reports/") and name.endswith(".png")}
    with_people = {stem for stem in drawn if shows_people(f"reports/report/figures/{stem}.png")}
    assert with_people == {"worst", "worst_ten"}
    points = {
        "bias",
        "bland_altman",
        "csa",
        "csa_std",
        "dice",
        "inputs",
        "line",
        "matrix",
        "subgroups",
        "training",
        "trend",
    }
    assert drawn - with_people == points


def test_the_monitoring_half_runs_alone_on_real_images(folder: Path, second: State) -> None:
    work = folder / "work"
    report = monitor(work, work / "data/package", "real-cord", "v2", REAL, say=print)
    assert report.is_file()
    assert not (work / ".monitor/real-cord/data/prepare").exists(), "no stage of the training may run"
    agreement = read_csv(work / "data/monitored/real-cord/agreement.csv", text=("contrast",))
    assert set(agreement["contrast"]) == {"T1w", "T2w", "T2star", "MTon", "MToff", "DWI"}
    referenced = agreement.set_index("contrast")["dice"]
    assert referenced.drop("DWI").notna().all()
    assert pd.isna(referenced["DWI"]), "DWI has no reference mask"


def test_a_labs_own_folder_is_monitored_without_a_profile(
    folder: Path, second: State, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are those of the training, under other ids: that is said, and without floors nothing runs twice."""
    study = make_folder(folder / "unheard-of", folder / "generated", "r1")
    monkeypatch.chdir(folder / "work")
    monitor_command.main(["data/package", "--bids", "../unheard-of", "--no-floors"])
    said = capsys.readouterr().out
    assert "Not registered: 1 images 'FLAIR'" in said
    assert re.search(r"monitor: (\d+) images to segment; no floors", said)
    assert re.search(r"warning: the bundle was trained on \d+ of these \d+ images", said)
    summary = read_json(folder / "work/data/monitored/unheard-of/summary.json")
    assert summary["cases"] > 0
    work = folder / "work/.monitor/unheard-of"
    assert read_json(work / "reports/floor/floor.json")["runner"] == []
    assert (work / "reports/report/index.html").is_file()
    assert not (study / ".git").exists()


def _dry(folder: Path, *targets: str) -> set[str]:
    """Return the names of the stages that `dvc repro --dry` would run."""
    command = [sys.executable, "-m", "dvc", "repro", "--dry", *targets]
    done = subprocess.run(command, cwd=folder, env=dvc_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return set(re.findall(r"Running stage '([^']+)'", done.stdout))


def _run(folder: Path, *targets: str) -> set[str]:
    """Run `dvc repro` for these targets and return the names of the stages that ran."""
    command = [sys.executable, "-m", "dvc", "repro", *targets]
    done = subprocess.run(command, cwd=folder, env=dvc_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return set(re.findall(r"Running stage '([^']+)'", done.stdout))


def test_a_further_dataset_reruns_only_what_it_touches(folder: Path, second: State) -> None:
    """Add a dataset for training, then one for monitoring: stages of the other datasets must not run."""
    work = folder / "further"
    shutil.copytree(folder / "work", work, symlinks=True)
    entries = {"more": "micro", "more-frozen": "micro-frozen"}

    def register(registry: Any) -> None:
        for name, like in entries.items():
            registry["datasets"][name] = copy.deepcopy(registry["datasets"][like])

    before = _dry(work)
    assert not {name for name in before if name.startswith(("fetch", "check", "prepare", "train", "segment"))}
    edit_yaml(work / REGISTRY, register)
    assert _dry(work) == before, "an entry that params do not name must rerun no stage"

    edit_yaml(work / "params.yaml", lambda params: params["fetch"]["datasets"].append("more"))
    edit_yaml(work / "params.yaml", lambda params: params["prepare"]["datasets"].append("more"))
    assert _run(work, "fetch@more", "check@more") == {"fetch@more", "check@more"}
    # A dry run shows only stages that changed already. Later stages appear after these have run.
    training = _dry(work)
    assert "prepare" in training
    assert not {name for name in training if name.startswith(("fetch", "check", "segment"))}
    assert _run(work, "prepare") == {"prepare"}
    assert "train@0" in _dry(work)

    shutil.rmtree(work)
    shutil.copytree(folder / "work", work, symlinks=True)
    edit_yaml(work / REGISTRY, register)
    frozen = read_csv(work / FROZEN, text=("participant", "dataset")).drop(columns="schema")
    rows = frozen[frozen["dataset"] == "micro-frozen"].assign(dataset="more-frozen")
    write_csv(work / FROZEN, pd.concat([frozen, rows]))
    edit_yaml(work / "params.yaml", lambda params: params["fetch"]["datasets"].append("more-frozen"))
    edit_yaml(work / "params.yaml", lambda params: params["segment"]["datasets"].append("more-frozen"))
    ran = _run(work, "fetch@more-frozen", "check@more-frozen")
    assert ran == {"fetch@more-frozen", "check@more-frozen"}
    monitored = _dry(work, "measure")
    assert {"segment@more-frozen-0", "segment@more-frozen-1"} <= monitored
    assert not {name for name in monitored if name.startswith(("segment@micro-frozen", "check@"))}


def test_what_is_removed_is_gone_downstream(folder: Path, second: State) -> None:
    """Remove a participant from the frozen set and a shard from params: no later output may contain them."""
    work = folder / "work"
    frozen = read_csv(work / FROZEN, text=("participant", "dataset")).drop(columns="schema")
    micro = frozen["dataset"] == "micro-frozen"
    gone = str(frozen.loc[micro, "participant"].iloc[0])
    # A participant who is frozen in any dataset is excluded from training; the demo's participants have the same ids.
    write_csv(work / FROZEN, frozen[frozen["participant"] != gone])
    kept = set(frozen.loc[micro, "participant"]) - {gone}
    withdrawn = {gone: "withdrawn"}
    edit_yaml(work / REGISTRY, lambda registry: registry["datasets"]["micro"].update(exclude=withdrawn))
    edit_yaml(work / "params.yaml", lambda params: params["segment"].update(shards=[0]))
    _repro(work)
    held = read_json(work / "data/fetch/micro-frozen.json")
    assert {case["participant"] for case in held["cases"]} == kept
    measures = read_csv(work / "reports/measure/measures.csv", text=("participant", "contrast"))
    assert set(measures["participant"]) == kept
    assert set(measures["contrast"]) == set(CONTRASTS)
    for name in ("csa_std", "csa"):
        table = read_csv(work / f"reports/compare/{name}.csv", text=("participant", "version"))
        digest = read_json(work / "data/package/model.json")["digest"]
        current = table[table["version"].isin([digest, digest[:12], "reference"])]
        assert gone not in set(current["participant"])
    assert gone not in {case["participant"] for case in read_json(work / "data/prepare/manifest.json")["cases"]}


def _visits(cohort: Path, out: Path) -> str:
    """Publish a dataset with sessions: each two people of the cohort are one person, seen twice."""
    people = sorted(path.name for path in cohort.glob("sub-*") if path.is_dir())
    frozen = [sub for sub in people if sub in {row.participant for row in read_frozen(ROOT / FROZEN)}]
    others = [sub for sub in people if sub not in frozen][:4]
    assert (len(frozen), len(others)) == (2, 4)
    for number, sub in enumerate([*frozen, *others]):
        person, session = f"sub-long{number // 2}", f"ses-0{number % 2 + 1}"
        for file in cohort.rglob(f"{sub}_*.nii.gz"):
            folder = file.parent.relative_to(cohort).as_posix().replace(sub, f"{person}/{session}")
            target = out / folder / file.name.replace(sub, f"{person}_{session}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    annex.create(out)
    return annex.save(out, "two visits", tag="r1")


@pytest.mark.long
def test_a_cohort_with_sessions_goes_through_every_stage(
    folder: Path, second: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = folder / "visits"
    shutil.copytree(folder / "work", work, symlinks=True)
    (work / "mlflow.db").unlink()  # it belongs to the other folder
    commit = _visits(folder / "cohort", folder / "two")
    named = {
        kind: {
            contrast: files if not isinstance(files, dict) else {
                key: value.replace("{sub}/", "{sub}/{ses}/").replace("{sub}_", "{sub}_{ses}_")
                for key, value in files.items() if isinstance(value, str)
            }
            for contrast, files in load_yaml(ROOT / REGISTRY)["datasets"][kind]["contrasts"].items()
            if contrast in CONTRASTS
        }
        for kind in ("micro", "micro-frozen")
    }  # fmt: skip
    monkeypatch.chdir(work)
    common = {"url": str(folder / "two"), "tag": "r1", "commit": commit, "licence": "CC0-1.0"}
    edit_yaml(REGISTRY, lambda registry: registry["datasets"].update(
        {"visits": common | {"role": "train", "contrasts": named["micro"]},
         "visits-frozen": common | {"role": "test", "contrasts": named["micro-frozen"]}}))  # fmt: skip
    with FROZEN.open("a") as table:
        table.write("1,sub-long0,visits-frozen\n")

    def use_visits(params: Any) -> None:
        params["fetch"]["datasets"] = ["visits", "visits-frozen"]
        params["prepare"]["datasets"] = ["visits"]
        params["segment"]["datasets"] = ["visits-frozen"]
        params["register"]["label"] = "v3"

    edit_yaml(Path("params.yaml"), use_visits)
    done = _repro(work)
    assert done.ran >= {"fetch@visits", "check@visits-frozen", "train@0", "measure", "report"}
    cases = read_json(Path("data/prepare/manifest.json"))["cases"]
    assert {case["session"] for case in cases} == {"ses-01", "ses-02"}
    for fold in read_json(Path("data/prepare/manifest.json"))["folds"]:
        side = [{name.split("_")[1] for name in fold[part]} for part in ("train", "val")]
        assert not side[0] & side[1], "both sessions of a person are on one side"
    measures = read_csv(Path("reports/measure/measures.csv"), text=MEASURES_TEXT)
    assert set(measures["session"]) == {"ses-01", "ses-02"}
    assert set(measures["participant"]) == {"sub-long0"}
    change = read_csv(Path("reports/compare/change.csv"), text=CHANGE_TEXT)
    assert change[["participant", "session_from", "session_to"]].drop_duplicates().to_numpy().tolist() == [
        ["sub-long0", "ses-01", "ses-02"]
    ]
    assert set(change["contrast"]) == set(CONTRASTS)
    csa = range_csa(measures, "prediction", "C2-C3").set_index(["contrast", "session"])["csa_mm2"]
    for row in change.to_dict("records"):
        moved = csa[row["contrast"], "ses-02"] - csa[row["contrast"], "ses-01"]
        if not pd.isna(row["change_mm2"]):  # a mask that misses the cord has no area there
            assert row["change_mm2"] == pytest.approx(moved)
    assert "sub-long0" in Path("reports/report/index.html").read_text(encoding="utf-8")
