"""A release's record and history: what one store holds comes back in another, from the assets of releases alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import drift_factory
from support.github_api import GitHubServer
from support.lab import unzipped, zipped
from support.store_workspace import MODEL, A, B, C, contents, empty_store, workspace

from stages import history, register, release
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_json
from stages.core.drift.record.record import read_drift, write_drift
from stages.core.drift.versions.folders import read_gaps
from stages.core.model.segmentation.predictions import read_shards
from stages.core.model.segmentation.predictor import inference_digest
from stages.core.release.github.repository import open_repository
from stages.core.release.jobs import commands as jobs
from stages.core.release.jobs import draft as drafting
from stages.core.release.jobs import judge as judging
from stages.core.release.jobs import plan as planning
from stages.core.release.jobs.archive import read_record, write_record
from stages.core.release.jobs.handover import MISSING, bring_shards, hand_over
from stages.core.release.jobs.history import rebuild
from stages.core.release.jobs.names import BUNDLE_ZIP, PROMOTION, RECORD_ZIP, TOOLBOX_ZIP, label_of_tag
from stages.core.release.jobs.plan import cache
from stages.core.reports.drift_report.wording import short
from stages.core.store.bundle_files import version_identity
from stages.core.store.client import Store, open_store
from stages.core.store.run_content import collect_run_content
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
#: What a release from before cordrift published.
TABLE = """SCT Version,Filename,Slice (I->S),VertLevel,MEAN(area),STD(area),SUM(length)
6.5,/x/sub-01_T1w_seg_v2.0.nii.gz,10:20,2:3,70,1.0,35.1
6.5,/x/sub-01_T2w_seg_v2.0.nii.gz,10:20,2:3,71,1.0,35.1
"""


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


def judge(root: Path, *, passed: bool, drift: str = "drifted", quality: str = "same") -> None:
    path = root / "reports/compare/drift.json"
    verdict = drift_factory.verdict(drift, quality=quality, passed=passed, reasons=[f"{drift}. Why"])
    write_drift(path, read_drift(path).model_copy(update={"verdict": verdict}))


def registered(lab: Path, monkeypatch: pytest.MonkeyPatch, digest: str, label: str, *, passed: bool = True) -> bytes:
    """Register a version in the workspace's store and return its record as a release would carry it."""
    workspace(lab, digest, label=label)
    monkeypatch.chdir(lab)
    history.main()
    judge(lab, passed=passed, drift="equivalent" if passed else "drifted")
    register.main()
    store = open_store(MODEL, lab)
    scratch = lab / f"scratch-{label}"
    (scratch / "masks").mkdir(parents=True)
    record = collect_run_content(label, load_params(lab / "params.yaml").segment, scratch / "masks", lab)
    run = store.find_run(version_identity(digest))
    assert run is not None
    write_record(scratch / RECORD_ZIP, record, run.params, scratch)
    return (scratch / RECORD_ZIP).read_bytes()


def replayed(folder: Path, github: GitHubServer, tag: str) -> tuple[Store, list[str]]:
    """A new store, filled from the releases."""
    (folder / "scratch").mkdir(parents=True)
    (folder / "mlflow.db").write_bytes(empty_store().read_bytes())
    store = open_store(MODEL, folder)
    said = rebuild(store, open_repository(github.environment()), tag, "frozen", folder / "scratch", print)
    return store, said


def without_bundle(found: dict[str, object]) -> dict[str, object]:
    """What a store holds, less training runs and the weights, which a record leaves out."""
    runs = {}
    for name, run in found["runs"].items():  # type: ignore[attr-defined]
        if name.startswith("version"):
            kept = {
                path: content
                for path, content in run["files"].items()
                if not path.endswith((".safetensors", "index.json"))
            }
            tags = {key: value for key, value in run["tags"].items() if key != "cordrift.artifacts"}
            runs[name[:9]] = {**run, "files": kept, "tags": tags}
    return {"runs": runs, "versions": found["versions"]}


def test_a_history_of_releases_gives_the_store_that_they_were_judged_in(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aliases too: v2 passed and is champion, v3 did not and is candidate; v1 stays the anchor."""
    lab = tmp_path / "lab"
    for number, (digest, passed) in enumerate([(A, True), (B, True), (C, False)], 1):
        record = registered(lab, monkeypatch, digest, f"v{number}", passed=passed)
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets={RECORD_ZIP: record})
    store, said = replayed(tmp_path / "other", github, "v9")
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {
        "v1": ("anchor",), "v2": ("champion",), "v3": ("candidate",),
    }  # fmt: skip
    assert said == [f"v{n}: bundle {short(d)}, from {RECORD_ZIP}" for n, d in ((1, A), (2, B), (3, C))]
    assert without_bundle(contents(tmp_path / "other")) == without_bundle(contents(lab))


def test_what_was_published_later_is_no_part_of_a_releases_history(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, digest in enumerate([A, B, C], 1):
        record = registered(tmp_path / "lab", monkeypatch, digest, f"v{number}")
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets={RECORD_ZIP: record})
    github.add_release("v0.9", draft=True, assets={RECORD_ZIP: b"a draft is not looked at"})
    store, said = replayed(tmp_path / "other", github, "v2")
    assert [version.tags["label"] for version in store.versions()] == ["v1", "v2"]
    assert said == [f"v1: bundle {short(A)}, from {RECORD_ZIP}"], "of itself it has its declaration, and no prior"


def test_an_acceptance_moves_champion_and_anchor_at_its_time(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (digest, passed) in enumerate([(A, True), (B, False)], 1):
        record = registered(tmp_path / "lab", monkeypatch, digest, f"v{number}", passed=passed)
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets={RECORD_ZIP: record})
    for key, value in github.environment().items():
        monkeypatch.setenv(key, value)
    release.main(["accept", "--tag", "v2", "--reason", "looked at", "--by", "a person"])
    assert "releases after it are judged against it" in capsys.readouterr().out
    value = json.loads(github.assets("v2")[PROMOTION])
    assert (value["who"], value["why"], value["digest"]) == ("a person", "looked at", B)
    store, said = replayed(tmp_path / "other", github, "v9")
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v1": (), "v2": ("anchor", "champion")}
    assert said[-1] == "v2 was accepted by a person: looked at"
    with pytest.raises(CordriftError, match="needs a reason"):
        release.main(["accept", "--tag", "v2", "--reason", " "])


def test_a_new_server_gets_the_history_and_one_with_versions_is_left_alone(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, digest in enumerate([A, B], 1):
        record = registered(tmp_path / "lab", monkeypatch, digest, f"v{number}")
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets={RECORD_ZIP: record})
    (tmp_path / "server").mkdir()
    (tmp_path / "server/mlflow.db").write_bytes(empty_store().read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/server/mlflow.db")
    for key, value in github.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(REPOSITORY)
    release.main(["restore", "--profile", "demo"])
    assert f"v2: bundle {short(B)}" in capsys.readouterr().out
    found = open_store(MODEL).versions()
    assert {v.tags["label"]: v.aliases for v in found} == {"v1": ("anchor",), "v2": ("champion",)}
    with pytest.raises(CordriftError, match="holds 2 version"):
        release.main(["restore", "--profile", "demo"])


def test_an_acceptance_of_a_bundle_that_no_release_has_is_named(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = registered(tmp_path / "lab", monkeypatch, A, "v1")
    accepted = {"schema": 1, "digest": C, "who": "a person", "when": "2026-02-01T00:00:00+00:00", "why": "looked at"}
    assets = {RECORD_ZIP: record, PROMOTION: json.dumps(accepted).encode()}
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=assets)
    with pytest.raises(CordriftError, match=f"accepts the bundle {short(C)}, of which no release has a record"):
        replayed(tmp_path / "other", github, "v9")


def test_a_judged_release_whose_bundle_was_replaced_is_refused(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "open_bundle", lambda *_: SimpleNamespace(digest=B))
    for tag, judged in (("v1", A), ("v2", B)):
        provenance = json.dumps({"schema": 1, "bundle": judged}).encode()
        github.add_release(tag, assets={BUNDLE_ZIP: b"zip", "provenance.json": provenance})
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
    monkeypatch.setattr(judging, "monitor_workspace", lambda *_: params)
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
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets={RECORD_ZIP: record})
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
    monkeypatch.setattr(judging, "monitor_workspace", lambda *_: params)
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


def test_a_record_sets_no_tag_but_who_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = unzipped(registered(tmp_path / "lab", monkeypatch, A, "v1"))
    record = json.loads(packed["record.json"])
    packed["record.json"] = json.dumps({**record, "judged": {"aliased": "yes"}}).encode()
    (tmp_path / "record.zip").write_bytes(zipped(packed))
    (tmp_path / "out").mkdir()
    with pytest.raises(CordriftError, match="judged"):
        read_record(tmp_path / "record.zip", tmp_path / "out")


@pytest.mark.parametrize("name", [BUNDLE_ZIP, TOOLBOX_ZIP, PROMOTION])
def test_what_a_judgement_does_not_write_is_not_published(tmp_path: Path, github: GitHubServer, name: str) -> None:
    (tmp_path / "release/assets").mkdir(parents=True)
    for file in ("drift.json", name):
        (tmp_path / "release/assets" / file).write_bytes(b"{}")
    github.add_release("v1")
    with pytest.raises(CordriftError, match=f"holds {name}, which no judgement writes"):
        jobs.publish(tmp_path, open_repository(github.environment()), "v1")
    assert github.assets("v1") == {}


def test_the_first_version_after_imported_ones_is_champion_and_anchor(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.add_release("v2.0", published="2025-01-01T00:00:00Z", assets={"csa_c2c3__model_v2.0.csv": TABLE.encode()})
    record = registered(tmp_path / "lab", monkeypatch, A, "v3")
    github.add_release("v3", published="2026-01-01T00:00:00Z", assets={RECORD_ZIP: record})
    store, _ = replayed(tmp_path / "other", github, "v9")
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v2.0": (), "v3": ("anchor", "champion")}


def test_tables_of_earlier_releases_are_imported_and_others_are_named(tmp_path: Path, github: GitHubServer) -> None:
    github.add_release("v2.0", published="2025-01-01T00:00:00Z", assets={"csa_c2c3__model_v2.0.csv": TABLE.encode()})
    github.add_release("docs", published="2025-02-01T00:00:00Z", assets={"paper.pdf": b"%PDF"})
    store, said = replayed(tmp_path / "other", github, "v9")
    assert [version.tags["label"] for version in store.versions()] == ["v2.0"]
    assert "imported from csa_c2c3__model_v2.0.csv" in said[0]
    assert said[1] == f"docs: no {RECORD_ZIP}, so it is not in the history"


def test_a_lost_record_is_a_gap_that_decides(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first release lost its record: the second is no first version, and the candidate is judged by nobody."""
    record = registered(tmp_path / "lab", monkeypatch, A, "v2")
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets={BUNDLE_ZIP: b"zip"})
    github.add_release("v2", published="2026-02-01T00:00:00Z", assets={RECORD_ZIP: record})
    store, said = replayed(tmp_path / "other", github, "v9")
    assert said[0].startswith("the release v1 has a model but no cordrift-record.zip")
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v2": ("candidate",)}
    assert store.gaps() == said[:1]
    monkeypatch.chdir(workspace(tmp_path / "candidate", B, label="v9"))
    open_store(MODEL).set_gaps(said[:1])
    history.main()
    assert read_gaps(Path("reports/history")) == said[:1]
    accepted = {"digest": A, "who": "Ada", "when": "2026-03-01T00:00:00+00:00", "why": "looked at", "schema": 1}
    github.add_release(
        "v2b", published="2026-02-03T00:00:00Z",
        assets={RECORD_ZIP: record, PROMOTION: json.dumps(accepted).encode()},
    )  # fmt: skip
    store, _ = replayed(tmp_path / "third", github, "v9")
    assert store.gaps() == []
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v2": ("anchor", "champion")}


def test_a_record_that_was_tampered_with_stops_the_judgement(tmp_path: Path, github: GitHubServer) -> None:
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets={RECORD_ZIP: b"no zip"})
    with pytest.raises(CordriftError, match="cannot be read as a zip"):
        replayed(tmp_path / "other", github, "v9")


def test_a_record_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = registered(tmp_path / "lab", monkeypatch, A, "v1")
    (tmp_path / "record.zip").write_bytes(packed)
    (tmp_path / "out").mkdir()
    found = read_record(tmp_path / "record.zip", tmp_path / "out")
    (tmp_path / "masks").mkdir()
    was = collect_run_content(
        "v1", load_params(tmp_path / "lab/params.yaml").segment, tmp_path / "masks", tmp_path / "lab"
    )
    light = {a.path: a.digest() for a in was.artifacts if not a.path.endswith(".safetensors")}
    assert {artifact.path: artifact.digest() for artifact in found.artifacts} == light
    assert (found.digest, found.label, found.series, found.judged) == (was.digest, was.label, was.series, was.judged)
    assert {key: str(value) for key, value in found.metrics.items()} == {k: str(v) for k, v in was.metrics.items()}


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
    text = (tmp_path / "data/frozen.csv").read_text(encoding="utf-8")
    (tmp_path / "data/frozen.csv").write_text("\n".join(text.splitlines()[:-1]) + "\n", encoding="utf-8")
    assert cache(tmp_path, params)["cache_key"] != key


@pytest.mark.parametrize(
    ("tags", "expected"), [([], "v1.0.0"), (["v1.9.0", "v1.10.2", "notes"], "v1.11.0"), (["v2.0", "v10.0"], "v10.1.0")]
)
def test_the_next_tag_is_the_next_minor_version(github: GitHubServer, tags: list[str], expected: str) -> None:
    for tag in tags:
        github.add_release(tag)
    github.add_release("v99.0", draft=True)
    assert drafting.next_tag(open_repository(github.environment()).releases()) == expected
