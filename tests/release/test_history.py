"""A release's record and history: what one store holds comes back in another, and nothing is believed unchecked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.github_api import GitHubServer
from support.lab import unzipped, zipped
from support.releases import open_made_up, registered, released, replayed, without_bundle
from support.store_workspace import MODEL, A, B, C, contents, empty_store, workspace

from stages import history, release
from stages.core.base.errors import CordriftError
from stages.core.drift.versions.folders import read_gaps
from stages.core.release.jobs import plan as planning
from stages.core.release.jobs.archive import read_record
from stages.core.release.jobs.names import BUNDLE_ZIP, PROMOTION, RECORD_ZIP
from stages.core.reports.drift_report.wording import short
from stages.core.store.client import open_store
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
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    """A server whose releases hold made-up bundles; test_workflows.py releases real ones."""
    monkeypatch.setattr(planning, "open_bundle", open_made_up)
    with GitHubServer() as server:
        yield server


def test_a_history_of_releases_gives_the_store_that_they_were_judged_in(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aliases too: v2 passed and is champion, v3 did not and is candidate; v1 stays the anchor."""
    lab = tmp_path / "lab"
    for number, (digest, passed) in enumerate([(A, True), (B, True), (C, False)], 1):
        record = registered(lab, monkeypatch, digest, f"v{number}", passed=passed)
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets=released(digest, record))
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
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets=released(digest, record))
    github.add_release("v0.9", draft=True, assets={RECORD_ZIP: b"a draft is not looked at"})
    store, said = replayed(tmp_path / "other", github, "v2")
    assert [version.tags["label"] for version in store.versions()] == ["v1", "v2"]
    assert said == [f"v1: bundle {short(A)}, from {RECORD_ZIP}"], "of itself it has its declaration, and no prior"


def test_an_acceptance_moves_champion_and_anchor_at_its_time(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (digest, passed) in enumerate([(A, True), (B, False)], 1):
        record = registered(tmp_path / "lab", monkeypatch, digest, f"v{number}", passed=passed)
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets=released(digest, record))
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
        github.add_release(f"v{number}", published=f"2026-0{number}-01T00:00:00Z", assets=released(digest, record))
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
    assets = released(A, record) | {PROMOTION: json.dumps(accepted).encode()}
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=assets)
    sentence = f"accepts the bundle {short(C)}, and the record of this release is of {short(A)}"
    with pytest.raises(CordriftError, match=sentence):
        replayed(tmp_path / "other", github, "v9")


def test_a_record_sets_no_tag_but_who_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = unzipped(registered(tmp_path / "lab", monkeypatch, A, "v1"))
    record = json.loads(packed["record.json"])
    packed["record.json"] = json.dumps({**record, "judged": {"aliased": "yes"}}).encode()
    (tmp_path / "record.zip").write_bytes(zipped(packed))
    (tmp_path / "out").mkdir()
    with pytest.raises(CordriftError, match="judged"):
        read_record(tmp_path / "record.zip", tmp_path / "out")


def test_the_first_version_after_imported_ones_is_champion_and_anchor(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.add_release("v2.0", published="2025-01-01T00:00:00Z", assets={"csa_c2c3__model_v2.0.csv": TABLE.encode()})
    record = registered(tmp_path / "lab", monkeypatch, A, "v3")
    github.add_release("v3", published="2026-01-01T00:00:00Z", assets=released(A, record))
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
    github.add_release("v2", published="2026-02-01T00:00:00Z", assets=released(A, record))
    store, said = replayed(tmp_path / "other", github, "v9")
    assert said[0].startswith("the release v1 has a model but no cordrift-record.zip")
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v2": ("candidate",)}
    assert store.gaps() == said[:1]
    monkeypatch.chdir(workspace(tmp_path / "candidate", B, label="v9"))
    open_store(MODEL).set_gaps(said[:1])
    history.main()
    assert read_gaps(Path("reports/history")) == said[:1]
    accepted = {"digest": B, "who": "Ada", "when": "2026-03-01T00:00:00+00:00", "why": "looked at", "schema": 1}
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    record = registered(tmp_path / "lab", monkeypatch, B, "v3", passed=False)
    assets = released(B, record) | {PROMOTION: json.dumps(accepted).encode()}
    github.add_release("v3", published="2026-02-03T00:00:00Z", assets=assets)
    store, _ = replayed(tmp_path / "third", github, "v9")
    assert store.gaps() == []
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v2": (), "v3": ("anchor", "champion")}


def test_a_record_that_was_tampered_with_stops_the_judgement(tmp_path: Path, github: GitHubServer) -> None:
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(A, b"no zip"))
    with pytest.raises(CordriftError, match="cannot be read as a zip"):
        replayed(tmp_path / "other", github, "v9")


def _edited(record: bytes, name: str, change: Callable[[Any], object]) -> bytes:
    """A record with one JSON file in it changed."""
    packed = unzipped(record)
    value = json.loads(packed[name])
    change(value)
    packed[name] = json.dumps(value).encode()
    return bytes(zipped(packed))


DRIFT_JSON = "artifacts/compare/drift.json"


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("record.json", lambda r: r.update(digest=C), "of another version, or was edited"),
        ("record.json", lambda r: r["series"].update(frozen="0" * 64), "as series"),
        ("record.json", lambda r: r.update(lost=True), "as lost"),
        ("record.json", lambda r: r["verdict"].update(drift="drifted"), "as verdict"),
        ("record.json", lambda r: r["verdict"].update(reasons=["none"]), "as verdict"),
        ("record.json", lambda r: r["judged"].update(judged_champion=C), "as judged"),
        ("artifacts/measures/summary.json", lambda s: s.update(bundle=C), "as digest"),
        ("artifacts/measures/summary.json", lambda s: s.pop("ruler"), "expected a text"),
        ("artifacts/measures/summary.json", lambda s: s.pop("cases"), "give no metrics of its version"),
        ("artifacts/measures/summary.json", lambda s: s.update(cases=10**400), "give no metrics of its version"),
        ("artifacts/bundle/model.json", lambda m: m.update(digest=C), "as digest of the bundle"),
        (DRIFT_JSON, lambda d: d["candidate"].update(bundle=C), "as digest of the verdict"),
        (DRIFT_JSON, lambda d: d["candidate"].update(frozen="0" * 64), "as series of the verdict"),
        ("record.json", lambda r: r["metrics"].update(dice_mean=0.99), "0.99 as metric dice_mean, and the files"),
        ("record.json", lambda r: r["metrics"].pop("csa_std_n"), "'no number' as metric csa_std_n"),
        ("record.json", lambda r: r.update(label="v7"), "it is the file of another release"),
    ],
)
def test_a_record_whose_words_do_not_follow_from_its_files_is_not_believed(
    tmp_path: Path,
    github: GitHubServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: Callable[[Any], object],
    sentence: str,
) -> None:
    record = _edited(registered(tmp_path / "lab", monkeypatch, A, "v1"), name, change)
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(A, record))
    with pytest.raises(CordriftError, match=sentence):
        replayed(tmp_path / "other", github, "v9")


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("measures/agreement.csv", b",0.7,", b",0.99,", "as metric dice"),
        ("compare/quality.csv", b"csa_error_mm2", b"another", "give no metrics of its version \\(KeyError: 'csa_error"),
        ("compare/quality.csv", A[:12].encode(), C[:12].encode(), "give no metrics of its version \\(IndexError"),
        ("compare/csa_std.csv", b"version", b"wersion", "give no metrics of its version \\(KeyError: 'version"),
    ],
)
def test_a_record_with_an_edited_table_is_not_believed(
    tmp_path: Path,
    github: GitHubServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: bytes,
    new: bytes,
    sentence: str,
) -> None:
    packed = unzipped(registered(tmp_path / "lab", monkeypatch, A, "v1"))
    assert old in packed[f"artifacts/{name}"]
    packed[f"artifacts/{name}"] = packed[f"artifacts/{name}"].replace(old, new)
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(A, bytes(zipped(packed))))
    with pytest.raises(CordriftError, match=sentence):
        replayed(tmp_path / "other", github, "v9")


def test_a_verdict_that_is_better_than_its_numbers_is_not_believed_in_both_files(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def passed(value: Any) -> None:
        value["verdict"].update(passed=True)

    record = registered(tmp_path / "lab", monkeypatch, A, "v1")
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(A, record))
    record = registered(tmp_path / "lab", monkeypatch, B, "v2", passed=False)
    for name in ("record.json", DRIFT_JSON):
        record = _edited(record, name, passed)
    github.add_release("v2", published="2026-02-01T00:00:00Z", assets=released(B, record))
    with pytest.raises(CordriftError, match=r"contradicts itself: it says passed: true, and drift drifted"):
        replayed(tmp_path / "other", github, "v9")


def test_a_record_of_another_bundle_than_the_release_has_is_not_believed(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = registered(tmp_path / "lab", monkeypatch, A, "v1")
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(C, record))
    with pytest.raises(CordriftError, match=rf"is of the bundle {short(A)}, and its {BUNDLE_ZIP} is {short(C)}"):
        replayed(tmp_path / "other", github, "v9")


def test_a_record_without_a_bundle_cannot_be_checked_and_is_a_gap(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = registered(tmp_path / "lab", monkeypatch, A, "v1")
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets={RECORD_ZIP: record})
    store, said = replayed(tmp_path / "other", github, "v9")
    assert said[0].startswith(f"the release v1 has a {RECORD_ZIP} but no {BUNDLE_ZIP}")
    assert (store.versions(), store.gaps()) == ([], said)
    accepted = {"digest": A, "who": "Ada", "when": "2026-03-01T00:00:00+00:00", "why": "looked at", "schema": 1}
    github.add_asset("v1", PROMOTION, json.dumps(accepted).encode())
    store, said = replayed(tmp_path / "third", github, "v9")
    assert "its acceptance counts for nothing until it is back" in said[-1]
    assert (store.versions(), store.gaps()) == ([], said[:1]), "it closes no gap"


@pytest.mark.parametrize("when", ["yesterday", "2026-02-01T00:00:00", "2026-02-31T00:00:00+00:00"])
def test_a_promotion_without_a_time_is_refused(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    record = registered(tmp_path / "lab", monkeypatch, A, "v1")
    accepted = {"schema": 1, "digest": A, "who": "a person", "when": when, "why": "looked at"}
    assets = released(A, record) | {PROMOTION: json.dumps(accepted).encode()}
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=assets)
    with pytest.raises(CordriftError, match=r"'when' is .*: input should"):
        replayed(tmp_path / "other", github, "v9")


def test_times_are_compared_as_times(tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """v1 was accepted before v2 was published, which its text in another zone hides: v2 passed afterwards."""
    for number, digest in enumerate([A, B], 1):
        record = registered(tmp_path / "lab", monkeypatch, digest, f"v{number}")
        accepted = {"digest": A, "who": "Ada", "when": "2026-02-01T09:00:00+14:00", "why": "looked at", "schema": 1}
        more = {PROMOTION: json.dumps(accepted).encode()} if digest == A else {}
        published = "2026-01-01T00:00:00Z" if digest == A else "2026-02-01T00:00:00Z"
        github.add_release(f"v{number}", published=published, assets=released(digest, record) | more)
    store, said = replayed(tmp_path / "other", github, "v9")
    assert [one.split(":")[0] for one in said] == ["v1", "v1 was accepted by Ada", "v2"]
    assert {v.tags["label"]: v.aliases for v in store.versions()} == {"v1": ("anchor",), "v2": ("champion",)}


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


@pytest.mark.parametrize("part", ["masks.zip/", "artifacts/"])
def test_a_record_without_masks_or_without_tables_is_refused(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    packed = unzipped(registered(tmp_path / "lab", monkeypatch, A, "v1"))
    left = {name: content for name, content in packed.items() if not name.startswith(part)}
    assert len(left) < len(packed)
    github.add_release("v1", published="2026-01-01T00:00:00Z", assets=released(A, bytes(zipped(left))))
    with pytest.raises(CordriftError, match="holds no masks or no tables; it was not written by a release of cordrift"):
        replayed(tmp_path / "other", github, "v9")
