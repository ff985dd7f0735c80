"""Releases with records, as jobs of a release write them; in the place of a bundle each holds its digest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from stages import history, register
from stages.core.base.files import read_json
from stages.core.drift.record.record import read_drift, write_drift
from stages.core.release.github.repository import open_repository
from stages.core.release.jobs.archive import write_record
from stages.core.release.jobs.history import rebuild
from stages.core.release.jobs.names import BUNDLE_ZIP, RECORD_ZIP
from stages.core.store.bundle_files import version_identity
from stages.core.store.client import Store, open_store
from stages.core.store.run_content import collect_run_content
from stages.core.workspace.runs.params import load_params
from support import drift_factory
from support.github_api import GitHubServer
from support.store_workspace import MODEL, empty_store, workspace

REPOSITORY = Path(__file__).parents[2]


def open_made_up(packed: Path, folder: Path) -> SimpleNamespace:
    """Stand for the reading of a bundle: in its place a release of these tests holds its digest."""
    return SimpleNamespace(digest=packed.read_text())


def released(digest: str, record: bytes) -> dict[str, bytes]:
    """The assets of a release: its bundle and its record."""
    return {BUNDLE_ZIP: digest.encode(), RECORD_ZIP: record}


def judge(root: Path, *, passed: bool) -> None:
    """Let the priors that hold a role judge the version: it is equivalent to each, or has drifted."""
    path = root / "reports/compare/drift.json"
    word = "equivalent" if passed else "drifted"
    judges = [
        drift_factory.judge(drift_factory.drift_row(word), digest=row["digest"], roles=row["aliases"], drift=word)
        for row in read_json(root / "reports/history/priors.json")["priors"]
        if row["aliases"]
    ]
    word, quality = (word, "same") if judges else ("first", "first")
    reasons = [f"{word}. Why"]
    verdict = drift_factory.verdict(word, quality=quality, passed=passed, reasons=reasons, judges=judges)
    write_drift(path, read_drift(path).model_copy(update={"verdict": verdict}))


def registered(lab: Path, monkeypatch: pytest.MonkeyPatch, digest: str, label: str, *, passed: bool = True) -> bytes:
    """Register a version in the workspace's store and return its record as a release would carry it."""
    workspace(lab, digest, label=label)
    monkeypatch.chdir(lab)
    history.main()
    judge(lab, passed=passed)
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
