"""Registration is complete after any interruption, and adds nothing when nothing is new."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.store_workspace import MODEL, A, B, C, Overtaken, contents, files, page, params, ruler, workspace

from stages import history, register
from stages.core.base.errors import CordriftError, StoreError
from stages.core.base.files import read_csv, read_json, write_csv, write_json
from stages.core.images.volumes import read
from stages.core.measures.kept_masks.layout import restore
from stages.core.measures.kept_masks.reader import read_kept
from stages.core.store import client, registration, run_content
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the bundle A; it is the current folder."""
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    return tmp_path / "lab"


class Killed(BaseException):
    """Stands for a killed process. It is no Exception, so that no code can handle it."""


class Mortal:
    """A client of MLflow that raises :class:`Killed` before its write number ``last`` (counted from 0).

    Only three of the artifacts are counted, the last one among them, because one line writes all artifacts.
    """

    writes = ("create_", "set_", "log_")
    artifacts = ("weights.safetensors", "index.html", "index.json")

    def __init__(self, inner: Any, last: int) -> None:
        self.inner, self.left = inner, last

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not name.startswith(self.writes):
            return found

        def write(*args: Any, **kwargs: Any) -> Any:
            if name != "log_artifact" or args[1].endswith(self.artifacts):
                if self.left == 0:
                    raise Killed
                self.left -= 1
            return found(*args, **kwargs)

        return write


def killed_at(last: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> bool:
    """Run ``work`` with a client that is killed before write ``last``; tell whether it was killed."""
    opened = client.open_store

    def open_mortal(model: str) -> client.Store:
        store = opened(model)
        store.client = Mortal(store.client, last)
        return store

    with monkeypatch.context() as patch:
        patch.setattr(client, "open_store", open_mortal)
        try:
            work()
        except Killed:
            return True
    return False


def test_first_version(lab: Path) -> None:
    register.main()
    state = contents(lab)
    assert [(number, aliases) for number, _, aliases, _ in state["versions"]] == [(1, ("anchor", "champion"))]
    tags = state["versions"][0][3]
    assert (tags["digest"], tags["label"], tags["inference"], tags["ruler"]) == (A, "v1", "i" * 64, ruler())
    version, training = state["runs"]["version a 0"], state["runs"]["training a 1"]
    assert version["status"] == training["status"] == ("FINISHED", "active")
    # agreement.csv: Dice .9 .8 .7; CSA STD 1 and 3 (SD sqrt 2), without the 9 of the reference and an undefined value
    metrics = {key: float(points[-1][1]) for key, points in version["metrics"].items()}
    expected = {"dice_mean": 0.8, "dice_min": 0.7, "dice/T1w": 0.85, "dice/T2w": 0.7, "csa_error_mean_mm2": 2.0}
    expected |= {"csa_std_mean_mm2": 2.0, "csa_std_sd_mm2": 2**0.5, "csa_std_n": 2.0, "cases": 4.0, "failures": 1.0}
    assert metrics == pytest.approx(expected), "there is no champion yet, so there is no bias to it"
    assert version["params"]["train.optimiser.name"] == "AdamW"
    assert "| dice_mean | 0.8 |" in version["tags"]["mlflow.note.content"]
    said = "drift first, quality first; CSA STD 2.00 mm²"
    assert version["tags"]["mlflow.note.content"].startswith(f"**v1: {said}**")
    assert client.open_store(MODEL).client.get_model_version(MODEL, "1").description == f"v1: {said}"
    assert set(version["files"]) == {
        "bundle/model.json",
        "bundle/provenance.json",
        "bundle/fold_0/weights.safetensors",
        "measures/measures.csv",
        "measures/agreement.csv",
        "measures/summary.json",
        "compare/drift.json",
        "record/drift.json",
        "compare/bias.csv",
        "compare/quality.csv",
        "compare/csa_std.csv",
        "report/index.html",
        "report/resources.csv",
        "figures/one.png",
        "bundle/training_data.json",
        "bundle/fold_0/progress.csv",
        "masks.zip",
        "index.json",
    }
    assert training["tags"]["mlflow.parentRunId"] == "v1 (first)"
    assert training["metrics"]["train_loss"] == [(0, "0.5"), (1, "0.25")]
    assert training["metrics"]["val_loss"] == [(0, "0.6")], "NaN is a gap in the curve"
    receipt = {"schema": 1, "digest": A, "model": MODEL, "version": "1", "aliases": ["anchor", "champion"]}
    assert read_json(register.RECEIPT) == receipt


def test_masks_are_those_of_the_manifests(lab: Path) -> None:
    def masks(folder: str) -> tuple[run_content.Artifact, bytes]:
        collected = run_content.collect_run_content("v1", load_params().segment, lab / folder)
        found = next(artifact for artifact in collected.artifacts if artifact.path == "masks.zip")
        return found, found.file(lab).read_bytes()

    artifact, content = masks("one")
    kept = read_kept(lab / "masks.zip", artifact.digest())
    assert kept is not None
    stems = [f"frozen/sub-{n}/anat/sub-{n}_T1w_label-SC_" for n in (0, 1)]
    assert sorted(kept.files) == [f"{stem}{name}.nii.gz" for stem in stems for name in ("probseg", "seg")]
    for case in kept.index.cases:
        assert bool(case.masks) == (case.contrast == "T1w"), "the other contrast failed"
        assert case.reason == ("" if case.masks else "empty")
        for mask in case.masks.values():
            before = read(lab / f"reports/segment/frozen/{case.participant[-1]}" / mask.file)
            assert np.array_equal(restore(mask, kept.files[mask.file]).data, before.data)
    again, same = masks("two")
    assert (same, again.digest()) == (content, artifact.digest())


def test_nothing_is_added_twice(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register.main()
    before, receipt = contents(lab), register.RECEIPT.read_bytes()
    assert not killed_at(0, monkeypatch, register.main), "the second registration must write nothing"
    assert contents(lab) == before
    assert register.RECEIPT.read_bytes() == receipt


@pytest.mark.long
def test_killed_between_any_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path / "whole"))
    register.main()
    whole = contents(tmp_path / "whole")
    steps = 0
    while True:
        lab = tmp_path / f"killed-{steps}"
        monkeypatch.chdir(workspace(lab))
        if not killed_at(steps, monkeypatch, register.main):
            break
        for version in client.open_store(MODEL).versions():
            run = client.open_store(MODEL).find_run(registration.version_identity(version.tags["digest"]))
            assert run is not None
            assert run.status == "FINISHED", "a version must not be visible before its run is complete"
        register.main()
        assert contents(lab) == whole, f"killed before write {steps}"
        steps += 1
    assert steps > 15, "artifacts, tags, version and aliases are written in separate steps"


def test_new_report_of_the_same_bundle_killed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = workspace(tmp_path / "lab")
    monkeypatch.chdir(origin)
    register.main()
    saved = tmp_path / "saved"
    shutil.copytree(origin, saved)
    page(origin, "two")
    register.main()
    whole = contents(origin)
    steps = 0
    while True:
        # Restore the first state in the same place, because artifact paths are absolute. Give the database another
        # name, because MLflow keeps connections to the old one.
        shutil.rmtree(origin / "mlartifacts")
        shutil.copytree(saved / "mlartifacts", origin / "mlartifacts")
        shutil.copy(saved / "mlflow.db", origin / f"copy-{steps}.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///copy-{steps}.db")
        died = killed_at(steps, monkeypatch, register.main)
        register.main()
        assert contents(origin) == whole, f"killed before write {steps}"
        if not died:
            break
        steps += 1
    version = whole["runs"]["version a 0"]
    assert version["files"]["report/index.html"] == b"<p>two</p>"
    assert "figures/two.png" in version["files"]
    assert "figures/one.png" not in version["files"], "a figure that the report does not have any more must be deleted"
    assert len(whole["versions"]) == 1
    assert len(whole["runs"]) == 3


def test_report_put_back_after_a_kill_is_written_again(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register.main()
    before = contents(lab)
    page(lab, "two")
    assert killed_at(2, monkeypatch, register.main)  # killed after the tag and the page, and before the index
    assert contents(lab)["runs"]["version a 0"]["files"]["report/index.html"] == b"<p>two</p>"
    page(lab, "one")
    register.main()
    assert contents(lab)["runs"]["version a 0"]["files"].keys() >= before["runs"]["version a 0"]["files"].keys()
    assert contents(lab)["runs"]["version a 0"]["files"]["report/index.html"] == b"<p>one</p>"


def test_only_changed_files_are_sent(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register.main()
    page(lab, "two")
    sent: list[str] = []
    upload = client.Store.upload

    def noted(self: client.Store, run: client.Run, source: Path, path: str) -> None:
        sent.append(path)
        upload(self, run, source, path)

    monkeypatch.setattr(client.Store, "upload", noted)
    register.main()
    assert sent == ["figures/two.png", "report/index.html", "index.json"], (
        "unchanged weights, which may be gigabytes, must not be sent again"
    )


def test_lost_artifacts_are_written_again(lab: Path) -> None:
    register.main()
    before = contents(lab)
    shutil.rmtree(lab / "mlartifacts")
    register.main()
    assert contents(lab) == before


def test_lost_store_is_filled_again(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register.main()
    before = contents(lab)
    shutil.rmtree(lab / "mlartifacts")
    monkeypatch.chdir(workspace(lab.parent / "fresh"))
    register.main()
    assert contents(lab.parent / "fresh") == before


def test_mlflow_knows_the_datasets_the_code_and_the_user(lab: Path) -> None:
    trained = {"set": {"commit": "e" * 40, "url": "https://bob:secret@lab.org/set"}}
    provenance = read_json(lab / "data/package/provenance.json")
    provenance["training"]["0"]["data"]["datasets"] = trained
    provenance["code"] = f"cordrift-0.1.0+{'9' * 40}-dirty"
    write_json(lab / "data/package/provenance.json", {k: v for k, v in provenance.items() if k != "schema"})
    register.main()
    before = contents(lab)
    register.main()
    assert contents(lab) == before
    store = client.open_store(MODEL)
    run = store.client.get_run(store.versions()[0].run_id)
    found = {
        (one.dataset.name, one.dataset.digest, one.dataset.source, one.tags[0].value)
        for one in run.inputs.dataset_inputs
    }
    assert found == {("set", "e" * 12, "https://lab.org/set", "training"), ("frozen", "c" * 12, "u", "testing")}
    assert run.data.tags["mlflow.source.git.commit"] == "9" * 40
    assert run.data.tags["mlflow.source.name"] == "cordrift"
    assert run.data.tags["mlflow.user"]


def test_all_versions_are_one_curve(lab: Path) -> None:
    register.main()
    workspace(lab, B, label="v2")
    history.main()
    register.main()
    (curves,) = (run["metrics"] for name, run in contents(lab)["runs"].items() if name.startswith("series"))
    assert curves["csa_std_mean_mm2"] == [(1, "2.0"), (2, "2.0")]
    assert curves["bias_to_champion_mm2"] == [(2, "0.5")], "the first version has no champion before it"


def test_what_was_measured_otherwise_is_no_point_of_the_curve(lab: Path) -> None:
    register.main()
    workspace(lab, B, label="v2")
    summary = {key: value for key, value in read_json(lab / "reports/measure/summary.json").items() if key != "schema"}
    write_json(lab / "reports/measure/summary.json", summary | {"frozen": "e" * 64})
    history.main()
    register.main()
    workspace(lab, C, label="v3")
    write_json(lab / "reports/measure/summary.json", summary | {"bundle": C, "lost": {"frozen-1": "failed"}})
    history.main()
    register.main()
    runs = {name: run for name, run in contents(lab)["runs"].items() if name.startswith("series")}
    steps = [[step for step, _ in run["metrics"]["csa_std_mean_mm2"]] for run in runs.values()]
    assert sorted(steps) == [[1], [2]], "another frozen set has its own curve, and an incomplete version none"


def test_changed_metric_replaces_the_larger_one(lab: Path) -> None:
    register.main()
    quality = read_csv(lab / "reports/compare/quality.csv", text=("version", "contrast"))
    write_csv(lab / "reports/compare/quality.csv", quality.drop(columns="schema").assign(failed=0))
    register.main()
    assert contents(lab)["runs"]["version a 0"]["metrics"]["failures"] == [(0, "1.0"), (1, "0.0")]
    run = client.open_store(MODEL).find_run(registration.version_identity(A))
    assert run is not None
    assert run.metrics["failures"] == 0.0


def test_later_version_is_candidate_with_a_bias(lab: Path) -> None:
    register.main()
    workspace(lab, B, label="v2")
    history.main()
    register.main()
    state = contents(lab)
    assert [version[2] for version in state["versions"]] == [("anchor", "champion"), ("candidate",)]
    run = client.open_store(MODEL).find_run(registration.version_identity(B))
    assert run is not None
    assert run.metrics["bias_to_champion_mm2"] == 0.5, "the value of the pooled row, not of a contrast"
    assert run.metrics["bias_to_champion_ci_low_mm2"] == -0.25
    said = "CSA +0.50 mm² (-0.25 to 1.25) to the champion before it, n = 2"
    assert said in client.open_store(MODEL).client.get_model_version(MODEL, "2").description
    workspace(lab, C, label="v3")
    history.main()
    register.main()
    aliases = [version[2] for version in contents(lab)["versions"]]
    assert aliases == [("anchor", "champion"), (), ("candidate",)]


def test_a_version_whose_judge_is_gone_is_no_first_version(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A release whose record was lost was skipped, and the next one, accepted by nobody, became champion and anchor."""
    prior = {"digest": B, "label": "v1", "aliases": ["champion", "anchor"], "folder": B[:12]}
    write_json(lab / "reports/history/priors.json", {"offline": False, "model": MODEL, "priors": [prior]})
    register.main()
    (only,) = client.open_store(MODEL).versions()
    assert only.aliases == ("candidate",)
    said = "".join(capsys.readouterr())
    assert f"was judged by {B[:12]}, which {MODEL} does not hold" in said
    assert f"cordrift promote {A[:12]} --reason" in said


def test_alias_moved_by_a_person_stays(lab: Path) -> None:
    register.main()
    workspace(lab, B, label="v2")
    register.main()
    store = client.open_store(MODEL)
    store.set_alias("champion", 2)
    store.set_alias("candidate", 1)
    for digest in (A, B):
        workspace(lab, digest)
        register.main()
    assert [version[2] for version in contents(lab)["versions"]] == [("anchor", "candidate"), ("champion",)]


def test_label_is_a_tag_and_no_version(lab: Path) -> None:
    register.main()
    params(lab, label="v1.0-final")
    register.main()
    state = contents(lab)
    assert [(number, name, tags["label"]) for number, name, _, tags in state["versions"]] == [
        (1, "v1.0-final (first)", "v1.0-final")
    ]
    assert len(state["runs"]) == 3
    assert state["runs"]["version a 0"]["tags"]["mlflow.note.content"].startswith("**v1.0-final: drift")


def test_offline_registers_nothing(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params(lab, offline=True)
    before = files(lab / "mlartifacts")
    register.main()
    assert "not registered" in capsys.readouterr().out
    assert read_json(register.RECEIPT)["version"] is None
    assert files(lab / "mlartifacts") == before
    assert contents(lab) == {"runs": {}, "versions": []}


def test_training_comes_with_the_bundle(lab: Path) -> None:
    """A bundle that is monitored in another workspace contains its curves and its training manifest."""
    assert not (lab / "data/train").exists()
    register.main()
    runs = contents(lab)["runs"]
    assert any(name.startswith("training") for name in runs)
    assert any("bundle/training_data.json" in run["files"] for run in runs.values())


def test_training_that_cannot_be_logged_is_a_warning(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def down(*_: object) -> None:
        raise StoreError("MLflow went away.")

    monkeypatch.setattr(registration, "log_training", down)
    register.main()
    assert "warning: the training of fold 0 is not in MLflow: MLflow went away." in capsys.readouterr().err
    assert len(contents(lab)["versions"]) == 1


def test_measures_of_another_bundle_are_refused(lab: Path) -> None:
    write_json(lab / "data/package/model.json", {"digest": B, "folds": [0]})
    with pytest.raises(CordriftError, match=f"is of the bundle {A[:12]}, data/package holds {B[:12]}"):
        register.main()
    assert contents(lab)["runs"] == {}


@pytest.mark.parametrize("call", ["create_experiment", "create_run", "create_registered_model", "create_model_version"])
def test_two_registrations_at_a_time_make_one_version(
    lab: Path, monkeypatch: pytest.MonkeyPatch, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = client.open_store

    def open_overtaken(model: str) -> client.Store:
        store = opened(model)
        monkeypatch.setattr(client, "open_store", opened)
        store.client = Overtaken(store.client, call, register.main)
        return store

    monkeypatch.setattr(client, "open_store", open_overtaken)
    register.main()
    assert ("registered by somebody else" in capsys.readouterr().out) is (call in {"create_experiment", "create_run"})
    register.main()
    (version,) = opened(MODEL).versions()
    assert (version.aliases, version.tags["aliased"]) == (("anchor", "champion"), "yes")
    run = opened(MODEL).find_run({"kind": "version", "digest": A})
    assert run is not None
    assert run.run_id == version.run_id, "the record that is found is that of the version that stayed"


def test_missing_report_is_a_sentence(lab: Path) -> None:
    (lab / "reports/report/index.html").unlink()
    with pytest.raises(CordriftError, match=r"reports/report/index.html .* missing"):
        register.main()


def test_deleted_run_is_named(lab: Path) -> None:
    register.main()
    store = client.open_store(MODEL)
    store.client.delete_run(store.versions()[0].run_id)
    with pytest.raises(CordriftError, match="mlflow runs restore"):
        register.main()
