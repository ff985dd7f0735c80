"""The jobs of a release before and after its judgement: plan, shards, judge, publish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.github_api import GitHubServer
from support.releases import open_made_up, registered, released
from support.store_workspace import A, B, empty_store, workspace

from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_json
from stages.core.measures.kept_masks.zips import pack
from stages.core.model.segmentation.predictions import read_shards
from stages.core.model.segmentation.predictor import inference_digest
from stages.core.release.github.api import Release
from stages.core.release.github.repository import open_repository
from stages.core.release.jobs import commands
from stages.core.release.jobs import draft as drafting
from stages.core.release.jobs import judge as judging
from stages.core.release.jobs import plan as planning
from stages.core.release.jobs.handover import MISSING, bring_shards, hand_over
from stages.core.release.jobs.names import BUNDLE_ZIP, PROMOTION, RECORD_ZIP, TOOLBOX_ZIP, label_of_tag
from stages.core.release.jobs.plan import cache
from stages.core.release.jobs.publish import publish
from stages.core.reports.drift_report.wording import short
from stages.core.store.client import Store, open_store
from stages.core.workspace.bundles.named import open_bundle
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    """A server whose releases hold made-up bundles; test_workflows.py releases real ones."""
    monkeypatch.setattr(planning, "open_bundle", open_made_up)
    with GitHubServer() as server:
        yield server


def test_a_judged_release_whose_bundle_was_replaced_is_refused(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag, judged in (("v1", A), ("v2", B)):
        provenance = json.dumps({"schema": 1, "bundle": judged}).encode()
        github.add_release(tag, assets={BUNDLE_ZIP: B.encode(), "provenance.json": provenance})
    repository = open_repository(github.environment())
    assert planning.fetch_bundle(repository, "v2", tmp_path).digest == B
    with pytest.raises(CordriftError, match="release the new one under the next tag"):
        planning.fetch_bundle(repository, "v1", tmp_path)


def test_a_judged_release_is_not_judged_again_with_other_inference_settings(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its assets are the history of later releases where there is no MLflow."""
    params = load_params(REPOSITORY / "params.yaml")
    same = inference_digest(params.segment)
    for tag, inference in (("v1", {"digest": "f" * 64}), ("v2", "not a mapping"), ("v3", {"digest": same})):
        provenance = json.dumps({"schema": 1, "bundle": A, "inference": inference}).encode()
        github.add_release(tag, assets={"provenance.json": provenance})
    github.add_release("v4")
    repository = open_repository(github.environment())
    monkeypatch.setattr(judging, "read_bundle", lambda _: SimpleNamespace(digest=A))
    monkeypatch.setattr(judging, "monitor_workspace", lambda *_, **__: params)
    monkeypatch.setattr(judging, "bring_bundle", lambda *_: pytest.fail("it went on"))
    for tag, was in (("v1", "ffffffffffff"), ("v2", "None")):
        sentence = f"the release {tag} was judged with other inference settings \\({was}, now {same[:12]}\\)"
        with pytest.raises(CordriftError, match=sentence):
            judging.judge_release(tmp_path, repository, tag, "demo", None, print)
    for tag in ("v3", "v4"):
        with pytest.raises(pytest.fail.Exception, match="it went on"):
            judging.judge_release(tmp_path, repository, tag, "demo", None, print)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("named", [False, True])
def test_releases_are_replayed_into_a_new_store_and_every_other_store_is_left_alone(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Also a second time; where a store is named, it is that of the stages, and nothing is replayed."""
    record = registered(tmp_path / "lab", monkeypatch, A, "v1")
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(A, record))
    github.add_release("v2", published="2026-02-01T00:00:00Z")
    root, params = tmp_path / "checkout", load_params(tmp_path / "lab/params.yaml")
    for folder in (root, root / ".monitor/demo"):
        (folder / "mlartifacts/cord").mkdir(parents=True)
        (folder / "mlartifacts/cord/tables.csv").write_bytes(b"of the lab")
        (folder / "mlflow.db").write_bytes(empty_store().read_bytes() + b"of the lab")
    before, stores = tree(root), []

    def run_stages(folder: Path, stages: object, **environment: str) -> None:
        assert folder == root / ".monitor/demo"
        if stages is judging.STAGES_AFTER_SEGMENT:
            stores.append(environment["MLFLOW_TRACKING_URI"])

    def opened(model: str, folder: Path) -> Store:
        if not (folder / "mlflow.db").exists() and not named:
            (folder / "mlflow.db").write_bytes(empty_store().read_bytes())  # MLflow takes seconds to make one
        return open_store(model, folder)

    monkeypatch.setattr(judging, "open_store", opened)
    monkeypatch.setattr(judging, "read_bundle", lambda _: SimpleNamespace(digest=B))
    monkeypatch.setattr(judging, "monitor_workspace", lambda *_, **__: params)
    monkeypatch.setattr(judging, "check_inference", lambda *_: None)
    monkeypatch.setattr(judging, "bring_bundle", lambda *_: None)
    monkeypatch.setattr(judging, "bring_shards", lambda *_: {})
    monkeypatch.setattr(judging, "run_stages", run_stages)
    monkeypatch.setattr(judging, "_assets", lambda *given: given[2])
    if named:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/lab/mlflow.db")
    monkeypatch.chdir(root)
    for _ in range(2):
        judged = judging.judge_release(root, open_repository(github.environment()), "v2", "demo", None, print)
        assert judged.facts.location.uri == stores[-1], "the store of the stages is the one that is read"
        replayed_ones = [f"v1: bundle {short(A)}, from {RECORD_ZIP}"]
        assert judged.history == (["from MLflow"] if named else replayed_ones)
    assert tree(root) == before
    assert len(set(stores)) == (1 if named else 2)
    assert [Path(uri.removeprefix("sqlite:///")).exists() for uri in stores] == [named, named]


def _judgement(root: Path, label: str, digest: str) -> None:
    assets = root / "release/assets"
    assets.mkdir(parents=True)
    write_json(assets / "provenance.json", {"label": label, "bundle": digest})
    (assets / "csa_std.png").write_bytes(b"png")


def test_a_judgement_goes_to_the_release_with_the_bundle_that_was_judged(tmp_path: Path, github: GitHubServer) -> None:
    github.add_release("v1", assets={BUNDLE_ZIP: A.encode()})
    _judgement(tmp_path, "v1", A)
    publish(tmp_path, open_repository(github.environment()), "v1")
    assert set(github.assets("v1")) == {BUNDLE_ZIP, "provenance.json", "csa_std.png"}


@pytest.mark.parametrize(("label", "digest"), [("v1", B), ("v0", A)])
def test_a_judgement_of_another_bundle_or_release_is_not_published(
    tmp_path: Path, github: GitHubServer, label: str, digest: str
) -> None:
    """As where the bundle was replaced after it was fetched to be judged."""
    github.add_release("v1", assets={BUNDLE_ZIP: A.encode()})
    _judgement(tmp_path, label, digest)
    with pytest.raises(CordriftError, match=r"it was replaced after it was judged. Nothing is published"):
        publish(tmp_path, open_repository(github.environment()), "v1")
    assert set(github.assets("v1")) == {BUNDLE_ZIP}


def test_a_bundle_that_is_replaced_during_the_upload_is_told(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.add_release("v1", assets={BUNDLE_ZIP: A.encode()})
    _judgement(tmp_path, "v1", A)
    repository = open_repository(github.environment())
    upload = repository.upload

    def late(release: Release, path: Path, name: str) -> str:
        if name == "provenance.json":
            (tmp_path / "other.zip").write_bytes(B.encode())
            upload(release, tmp_path / "other.zip", BUNDLE_ZIP)
        return upload(release, path, name)

    monkeypatch.setattr(repository, "upload", late)
    with pytest.raises(CordriftError, match=r"was replaced while its judgement was published"):
        publish(tmp_path, repository, "v1")


@pytest.mark.parametrize("name", [BUNDLE_ZIP, TOOLBOX_ZIP, PROMOTION])
def test_what_a_judgement_does_not_write_is_not_published(tmp_path: Path, github: GitHubServer, name: str) -> None:
    (tmp_path / "release/assets").mkdir(parents=True)
    for file in ("drift.json", name):
        (tmp_path / "release/assets" / file).write_bytes(b"{}")
    github.add_release("v1")
    with pytest.raises(CordriftError, match=f"holds {name}, which no judgement writes"):
        publish(tmp_path, open_repository(github.environment()), "v1")
    assert github.assets("v1") == {}


# Shards ---


def test_shards_are_gathered_and_one_of_another_bundle_counts_as_lost(tmp_path: Path) -> None:
    work, shards = workspace(tmp_path / "work", A, store=False), tmp_path / "shards"
    params = load_params(work / "params.yaml")
    digest = gather_inference(work, params)
    for shard in (0, 1):
        hand_over(work, shards, shard, params)
    assert bring_shards(shards, work, params, A) == {}
    assert read_shards(work / "reports/segment", ["frozen"], [0, 1]).inference == digest
    assert bring_shards(shards, work, params, B) == {
        f"frozen/{n}": f"its masks are of the bundle {short(A)} or of other settings" for n in (0, 1)
    }
    for path in sorted((shards / "segmented-1").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert bring_shards(shards, work, params, A) == {"frozen/1": MISSING}


def gather_inference(work: Path, params: object) -> str:
    """Give the made-up shards the digest of the settings that params really have."""
    from stages.core.model.segmentation.predictor import inference_digest

    digest = inference_digest(params.segment)  # type: ignore[attr-defined]
    for path in work.glob("reports/segment/*/*/manifest.json"):
        value = read_json(path)
        write_json(path, {**value, "inference": digest})
    return digest


# Names ---


@pytest.mark.parametrize("tag", ['v1.0";curl x|sh;"', "../x", "-n", "", "v1 0", "v1\nx=y"])
def test_a_tag_that_is_no_name_is_refused(tag: str) -> None:
    with pytest.raises(CordriftError, match="cannot be the label"):
        label_of_tag(tag)


def test_the_key_of_the_cache_follows_the_pin_and_the_participants(tmp_path: Path) -> None:
    params = load_params(REPOSITORY / "params/spine-generic.yaml")
    for name in ("data/datasets.yaml", "data/frozen.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    key = cache(tmp_path, params)["cache_key"]
    assert key == cache(REPOSITORY, params)["cache_key"]
    lines = (tmp_path / "data/frozen.csv").read_text(encoding="utf-8").splitlines()
    last = max(n for n, line in enumerate(lines) if line.endswith(",spine-generic-frozen"))  # a fork has rows after it
    (tmp_path / "data/frozen.csv").write_text("\n".join([*lines[:last], *lines[last + 1 :]]) + "\n", encoding="utf-8")
    assert cache(tmp_path, params)["cache_key"] != key


@pytest.mark.parametrize(
    ("tags", "expected"), [([], "v1.0.0"), (["v1.9.0", "v1.10.2", "notes"], "v1.11.0"), (["v2.0", "v10.0"], "v10.1.0")]
)
def test_the_next_tag_is_the_next_minor_version(github: GitHubServer, tags: list[str], expected: str) -> None:
    for tag in tags:
        github.add_release(tag)
    github.add_release("v99.0", draft=True)
    assert drafting.next_tag(open_repository(github.environment()).releases()) == expected


def test_where_nothing_was_judged_nothing_is_published(tmp_path: Path, github: GitHubServer) -> None:
    github.add_release("v1")
    with pytest.raises(CordriftError, match="holds nothing to publish; `cordrift release judge` writes it"):
        publish(tmp_path, open_repository(github.environment()), "v1")


def test_a_zip_without_a_bundle_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no bundle")
    pack(tmp_path / "cordrift-bundle.zip", {"notes.txt": tmp_path / "notes.txt"})
    with pytest.raises(CordriftError, match=r"^cordrift-bundle.zip holds no bundle: "):
        open_bundle(tmp_path / "cordrift-bundle.zip", tmp_path / "bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cordrift-bundle.zip", "notes.txt"]


def test_a_shard_that_the_profile_has_not_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_params(REPOSITORY / "params.yaml")
    monkeypatch.setattr(commands, "read_bundle", lambda _: None)
    monkeypatch.setattr(commands, "monitor_workspace", lambda *_: params)
    monkeypatch.setattr(commands, "bring_bundle", lambda *_: pytest.fail("it went on"))
    with pytest.raises(CordriftError, match=r"there is no shard 7 in the profile demo; there are \[0, 1\]"):
        commands.segment(tmp_path, "demo", None, 7, print)


def test_a_judgement_whose_version_mlflow_did_not_keep_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SimpleNamespace(find_run=lambda _: None, location=SimpleNamespace(name="there"))
    monkeypatch.setattr(judging, "collect_run_content", lambda *_: SimpleNamespace(digest=A))
    (tmp_path / "scratch").mkdir()
    params = load_params(REPOSITORY / "params.yaml")
    with pytest.raises(CordriftError, match=f"MLflow at there holds no run of the bundle {A[:12]}"):
        judging._assets(tmp_path, tmp_path, store, params, tmp_path / "scratch", "protocol")  # type: ignore[arg-type]
    assert not (tmp_path / "release").exists()
