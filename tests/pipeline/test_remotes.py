"""DVC remotes: what is pushed to a folder or a bucket brings a fresh clone to ``segment`` without a raw image."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer
from support.micro import ROOT, micro_workspace

from stages.core.data.datasets.manifest import CLONES, read_manifest
from stages.core.model.bundle.content import read_bundle
from stages.core.workspace.runs.workspace import dvc_environment, make_workspace, repro_with_keys
from stages.core.workspace.runs.yaml_edit import edit_yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.usefixtures("warm_stages")]
BUCKET = "lab"
#: What the monitoring half of the pipeline reads: no training data.
MONITORING = ("fetch", "check", "package")
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def _call(folder: Path, words: Sequence[str]) -> str:
    """Run a program in a folder and return what it printed."""
    person = {f"GIT_{role}_{part}": "cordrift" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    # No proxy may stand before the server of this machine.
    env = dvc_environment(**KEYS, **person, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    done = subprocess.run(list(words), cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _dvc(folder: Path, *words: str) -> str:
    return _call(folder, [sys.executable, "-m", "dvc", *words])


def _locked(folder: Path) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return stages


def _stages(folder: Path, *verbs: str) -> list[str]:
    """Names of the stages in the lock file that are one of these verbs for some dataset, fold or shard."""
    return [name for name in _locked(folder) if not verbs or name.split("@")[0] in verbs]


def _outputs(folder: Path, *verbs: str) -> list[str]:
    return [out["path"] for name in _stages(folder, *verbs) for out in _locked(folder)[name]["outs"]]


def _would_run(folder: Path, *words: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", _dvc(folder, "repro", "--dry", *words))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on a free port of this machine, with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name=KEYS["AWS_DEFAULT_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=BUCKET)
    yield address
    server.stop()


@dataclass(frozen=True)
class Origin:
    """A repository whose pipeline ran up to ``segment`` and was pushed to both remotes; its raw data are gone."""

    folder: Path
    raw: set[str]

    def clone(self, target: Path) -> Path:
        _call(target.parent, ["git", "clone", "--quiet", str(self.folder), str(target)])
        return target


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Origin:
    top = tmp_path_factory.mktemp("remotes")
    folder = top / "origin"
    micro_workspace(folder, top / "cohort")
    shutil.copyfile(ROOT / ".gitignore", folder / ".gitignore")
    # A repository of git and DVC as a lab has it: the scratch workspaces of cordrift are without git.
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n", encoding="utf-8")
    _call(folder, ["git", "init", "--quiet"])
    _dvc(folder, "remote", "add", "folder", str(top / "remote"))
    _dvc(folder, "remote", "add", "--default", "bucket", f"s3://{BUCKET}/cordrift")
    _dvc(folder, "remote", "modify", "bucket", "endpointurl", endpoint)
    pipeline = _dvc(folder, "stage", "list", "--name-only").split()
    _dvc(folder, "repro", *(name for name in pipeline if name.startswith("segment@")))
    _call(folder, ["git", "add", "--all"])
    _call(folder, ["git", "commit", "--quiet", "-m", "run up to segment"])
    _dvc(folder, "push", "--remote", "folder")
    _dvc(folder, "push", "--remote", "bucket")
    manifests = [read_manifest(path) for path in sorted((folder / "data/fetch").glob("*.json"))]
    raw = {Path(file.path).name for manifest in manifests for file in manifest.files if ".nii" in file.path}
    for gone in (top / "cohort", folder / CLONES):
        gone.rename(gone.with_name(f"{gone.name}-away"))
    return Origin(folder, raw)


def test_the_repository_itself_holds_no_image_and_no_key(origin: Origin) -> None:
    tracked = _call(origin.folder, ["git", "ls-files"]).splitlines()
    assert "dvc.lock" in tracked
    data = [name for name in tracked if name.endswith((".nii.gz", ".nii", ".npz", ".safetensors"))]
    assert not [name for name in data if not name.startswith("stages/models/")], "but the models that come along"
    config = (origin.folder / ".dvc/config").read_text(encoding="utf-8")
    assert f"s3://{BUCKET}/cordrift" in config
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in config


@pytest.mark.parametrize("remote", ["folder", "bucket"])
def test_a_pull_brings_a_fresh_clone_to_segment_without_raw_data(origin: Origin, remote: str, tmp_path: Path) -> None:
    clone = origin.clone(tmp_path / "clone")
    shards = _stages(clone, "segment")
    assert len(shards) == 2
    assert not (clone / "reports").exists()
    _dvc(clone, "pull", "--remote", remote, "--with-deps", *shards)

    assert _would_run(clone, *shards) == []
    assert "up to date" in _dvc(clone, "status", "--with-deps", *shards)
    for name in _outputs(clone, "package", "segment"):
        there = {path.relative_to(origin.folder / name) for path in (origin.folder / name).rglob("*")}
        assert there
        assert {path.relative_to(clone / name) for path in (clone / name).rglob("*")} == there

    assert not (clone / CLONES).exists()
    images = [path.relative_to(clone).as_posix() for path in clone.rglob("*.nii.gz")]
    assert images, "prepared training data and masks"
    assert not [name for name in images if not name.startswith(tuple(_outputs(clone)))]
    assert origin.raw
    assert not {Path(name).name for name in images} & origin.raw


@pytest.mark.parametrize("remote", ["folder", "bucket"])
def test_the_monitoring_half_needs_only_the_bundle_and_small_tables(
    origin: Origin, remote: str, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone")
    _dvc(clone, "pull", "--remote", remote, *_stages(clone, *MONITORING))

    verified = read_bundle(clone / "data/package")
    assert verified.digest == read_bundle(origin.folder / "data/package").digest
    assert read_manifest(clone / "data/fetch/micro-frozen.json").cases
    for name in ("data/prepare", "data/train", "reports/segment", CLONES):
        assert not (clone / name).exists(), name
    moved = _bytes(clone / ".dvc/cache")
    assert moved < _bytes(origin.folder / "data/prepare"), "less than the training data, which stayed where it is"
    # What is absent counts as unchanged: DVC knows from the lock file that nothing is to be run.
    assert _would_run(clone, "--allow-missing", *_stages(clone, "segment")) == []


def test_an_edit_in_the_clone_reruns_what_it_touches(origin: Origin, tmp_path: Path) -> None:
    """Nothing to run is no accident: one number of segment changed, and its shards are to be run again."""
    clone = origin.clone(tmp_path / "clone")
    shards = _stages(clone, "segment")
    _dvc(clone, "pull", "--remote", "folder", "--with-deps", *shards)
    params = clone / "params.yaml"
    params.write_text(re.sub(r"threshold: [0-9.]+", "threshold: 0.4", params.read_text(encoding="utf-8")))
    assert sorted(_would_run(clone, *shards)) == sorted(shards)


def test_the_keys_of_the_remote_reach_dvc_and_no_stage(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    make_workspace(ROOT, work, "demo")
    granted = {"host": "data.lab.org", "environment": {"AWS_ACCESS_KEY_ID": "LAB_DATA_KEY"}}
    edit_yaml(work / "data/datasets.yaml", lambda registry: next(iter(registry["datasets"].values())).update(granted))
    stages = {
        "first": {"cmd": "echo ran >> ran.txt; echo content > first.txt", "outs": ["first.txt"]},
        "second": {"cmd": "env > seen.txt", "deps": ["first.txt"], "outs": ["seen.txt"]},
    }
    (work / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    _dvc(work, "remote", "add", "--default", "bucket", f"s3://{BUCKET}/keys")
    _dvc(work, "remote", "modify", "bucket", "endpointurl", endpoint)
    _dvc(work, "repro", "first")
    _dvc(work, "push")
    (work / "first.txt").unlink()
    shutil.rmtree(work / ".dvc/cache")

    more = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "LAB_DATA_KEY": "of the data", "OMP_NUM_THREADS": "1"}
    for name, value in (KEYS | more | {"A 'STRANGE' $NAME": "1", "MLFLOW_TRACKING_PASSWORD": "p"}).items():
        monkeypatch.setenv(name, value)
    repro_with_keys(work, "second")
    assert (work / "ran.txt").read_text(encoding="utf-8") == "ran\n", "pulled with the keys, and not run again"
    seen = dict(
        line.split("=", 1) for line in (work / "seen.txt").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    assert not [name for name in seen if name.startswith(("AWS_", "MLFLOW_", "A "))]
    assert {name: seen[name] for name in ("LAB_DATA_KEY", "OMP_NUM_THREADS", "no_proxy")} == {
        name: more[name] for name in ("LAB_DATA_KEY", "OMP_NUM_THREADS", "no_proxy")
    }
    assert seen["SHELL"] == dvc_environment().get("SHELL", "/bin/sh")
    assert {"CORDRIFT_REVISION", "DVC_STAGE", "PATH"} <= seen.keys()
