"""The place of the MLflow store, the secrecy of its password, and the repair of a store that was moved."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from support.store_workspace import MODEL, REPOSITORY, A, B, contents, empty_store, files, workspace

from stages import dashboard, history, register
from stages import store as store_command
from stages.core.base.errors import CordriftError, StoreError
from stages.core.store import connection, location
from stages.core.store.client import Store, open_store
from stages.core.store.recorded_versions import RecordedVersion, RecordedVersions

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://bob:secret@host:5000/x", "https://host:5000/x"),
        ("at http://bob:p@ss/word@host/api failed", "at http://host/api failed"),  # a password with @ and /
        ("https://host/x?token=secret, then", "https://host/x then"),
        ("postgresql://bob:secret@host/db", "postgresql://host/db"),
        ("mail bob@host", "mail bob@host"),
    ],
)
def test_credentials_are_taken_out(text: str, shown: str) -> None:
    assert location.redact(text) == shown


def test_default_store_lies_in_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert location.find_location(tmp_path).database == tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/lab.db")
    assert location.find_location(tmp_path).database == Path("/elsewhere/lab.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.lab.org")
    assert location.find_location(tmp_path).database is None
    location.forget_server()
    assert location.find_location(tmp_path).database == tmp_path / "mlflow.db"


def test_a_relative_store_lies_in_the_workspace_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`monitor` hands this address to its scratch workspace, where a relative one would name another file."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///lab.db")
    assert location.find_location(tmp_path).uri == f"sqlite:///{tmp_path}/lab.db"


def test_a_store_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow makes its tables in many steps, and a database without the last ones can never be used."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection.os, "link", stop)
        with pytest.raises(KeyboardInterrupt):
            open_store(MODEL, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert open_store(MODEL, tmp_path).versions() == []
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_store_that_another_process_made_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = empty_store()

    def overtaken(part: Path, database: Path) -> None:
        shutil.copy(ready, database)
        (tmp_path / "theirs").touch()
        link(part, database)

    link = os.link
    monkeypatch.setattr(connection.os, "link", overtaken)
    assert open_store(MODEL, tmp_path).versions() == []
    assert (tmp_path / "mlflow.db").read_bytes() == ready.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "theirs"]


@pytest.mark.parametrize("name", ["what?", "a%41b", "a%20b"])
def test_a_checkout_whose_path_would_change_the_address_of_its_store_is_refused(tmp_path: Path, name: str) -> None:
    """MLflow and SQLAlchemy read these characters as parts of an address: the store would lie elsewhere."""
    with pytest.raises(StoreError, match=r"whose path holds [?%]: MLflow reads it as an address"):
        location.find_location(tmp_path / name)


@pytest.mark.parametrize("uri", ["./mlruns", "file:///lab/mlruns", "postgresql://bob:secret@db/x", "sqlite://"])
def test_other_kinds_of_store_are_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(CordriftError, match="expected the address of an MLflow server") as refusal:
        location.find_location()
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("stage", [history, register])
def test_unreachable_server_is_a_quick_sentence(
    stage: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace(tmp_path))
    before = files(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://bob:secret@127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(CordriftError, match=r"MLflow at http://127.0.0.1:9 cannot be used: no connection") as refusal:
        stage.main()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 15
    assert "secret" not in str(refusal.value) + "".join(capfd.readouterr())
    assert refusal.value.__suppress_context__, (
        "a stack trace would show the message of MLflow, which contains the password"
    )
    assert files(tmp_path) == before, "neither an unfinished file nor an empty list of priors may be written"


def test_words_of_mlflow_are_told_without_the_password() -> None:
    from mlflow.exceptions import MlflowException

    place = location.Location("https://bob:secret@host", None)
    told = "MLflow at https://host did not answer: API request to https://host/api failed"
    with pytest.raises(CordriftError, match=told), connection.explained(place, "did not answer"):
        raise MlflowException("API request to https://bob:secret@host/api failed.\nTraceback ...")


def test_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.FIRST_REQUEST, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as deaf:  # this server accepts the connection and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(CordriftError, match="cannot be used"):
            open_store(MODEL)
        assert time.monotonic() - start < 5, "two attempts of one second each; MLflow itself would wait for minutes"


def test_store_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be read as a header " * 9)
    with pytest.raises(CordriftError, match="cannot be used as an MLflow store: file is not a database"):
        open_store(MODEL, tmp_path)
    with pytest.raises(CordriftError, match="there is no folder"):
        open_store(MODEL, tmp_path / "nowhere")


def test_moved_store_is_refused_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "a place #1", tmp_path / "a place #1 moved"  # the new name begins with the old one
    monkeypatch.chdir(workspace(old))
    register.main()
    before = contents(old)
    monkeypatch.chdir(tmp_path)
    old.rename(new)
    monkeypatch.chdir(new)
    workspace(new, B)
    for stage in (history, register):
        with pytest.raises(CordriftError, match=r"was made in .*a place #1, .*`cordrift store mend`"):
            stage.main()
    assert not old.exists(), "nothing may be written to the old place"
    store_command.main(["mend"])
    assert "paths in" in capsys.readouterr().out
    assert contents(new) == before
    history.main()  # fetches A from where it lies now
    assert (new / "reports/history" / A[:12] / "measures.csv").is_file()
    register.main()
    assert [version[2] for version in contents(new)["versions"]] == [("anchor", "champion"), ("candidate",)]
    store_command.main(["mend"])
    assert "already" in capsys.readouterr().out


def test_mending_leaves_other_places_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    register.main()
    database = tmp_path / "lab/mlflow.db"
    with sqlite3.connect(database) as store:
        store.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
            "VALUES (77, 'other', ?, 'active')",
            (f"{tmp_path}/laboratory/x",),
        )
    assert location.mend_paths(database, str(tmp_path / "lab"), tmp_path / "new") > 0
    with sqlite3.connect(database) as store:
        places = dict(store.execute("SELECT name, artifact_location FROM experiments"))
    assert places["other"] == f"{tmp_path}/laboratory/x"
    assert places[MODEL] == f"{tmp_path}/new/mlartifacts/{MODEL}"
    assert location.artifact_roots(database) == [str(tmp_path / "new")]


def test_deleted_experiment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path))
    register.main()
    client = open_store(MODEL).client
    client.delete_experiment(client.get_experiment_by_name(MODEL).experiment_id)
    with pytest.raises(CordriftError, match="mlflow experiments restore"):
        register.main()


def test_a_dashboard_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CordriftError, match="There is no MLflow store"):
        dashboard.main(["--workspace", str(tmp_path)])
    workspace(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CordriftError, match="choose another with `--port`"):
            dashboard.main(["--workspace", str(tmp_path), "--port", str(other.getsockname()[1])])
    with socket.socket() as free:  # nothing listens here
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://bob:secret@127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(StoreError, match=r"MLflow at http://127\.0\.0\.1:\d+ cannot be used: .*Start the server"):
            dashboard.main([])
    assert not capsys.readouterr().out


@pytest.mark.slow
def test_team_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Register and read over HTTP, with artifacts; the password in the address must never be printed."""
    (tmp_path / "server").mkdir()
    shutil.copy(empty_store(), tmp_path / "server/mlflow.db")
    workspace(tmp_path / "lab", store=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = dashboard.server(tmp_path / "server/mlflow.db", "127.0.0.1", port)
    command.remove("--no-serve-artifacts")
    process = subprocess.Popen(
        command,
        cwd=tmp_path / "server",
        env={**os.environ, **dashboard.DASHBOARD_ENVIRONMENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://bob:secret@127.0.0.1:{port}")
        monkeypatch.chdir(tmp_path / "lab")
        history.main()
        register.main()
        workspace(tmp_path / "lab", B, label="v2", store=False)
        history.main()
        register.main()
        versions = open_store(MODEL).versions()
        dashboard.main([])
    finally:
        process.terminate()
        process.wait(30)
    aliases = {version.number: version.aliases for version in versions}
    assert aliases == {1: ("anchor", "champion"), 2: ("candidate",)}
    assert (tmp_path / "lab/reports/history" / A[:12] / "agreement.csv").is_file()
    assert not (tmp_path / "lab/mlflow.db").exists(), "a workspace that uses a server must not create a local store"
    printed = "".join(capfd.readouterr())
    assert "secret" not in printed
    assert f"Runs of {MODEL}, with verdicts: http://127.0.0.1:{port}/#/experiments/1/runs?" in printed


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server has stopped"
        try:
            with urllib.request.urlopen(address, timeout=1):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("no answer within a minute")


def test_the_pages_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start `cordrift dashboard` as a user does, and read an artifact of a run from it."""
    monkeypatch.chdir(workspace(tmp_path))
    register.main()
    run_id = open_store(MODEL).versions()[0].run_id
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "stages.dashboard", "--workspace", str(tmp_path), "--port", str(port)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().decode().rstrip().endswith(f"http://127.0.0.1:{port}")
        runs = f"Runs of {MODEL}, with verdicts: http://127.0.0.1:{port}/#/experiments/1/runs?workflowType="
        assert process.stdout.readline().decode().startswith(runs)
        assert f"http://127.0.0.1:{port}/#/models?" in process.stdout.readline().decode()
        _wait(f"http://127.0.0.1:{port}/health", process)
        address = f"http://127.0.0.1:{port}/get-artifact?path=report/index.html&run_uuid={run_id}"
        with urllib.request.urlopen(address, timeout=30) as page:
            assert page.read() == b"<p>one</p>"
    finally:
        process.terminate()
        process.wait(30)


def test_a_store_that_this_user_may_not_write_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location.os, "access", lambda *_: False)
    with pytest.raises(StoreError, match=r"mlflow.db is not writable for this user"):
        open_store(MODEL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_version_without_a_run_has_no_artifacts() -> None:
    recorded = RecordedVersions(None, location.Location("", None), [])
    version = RecordedVersion("cord", 3, "", "v3", (), "")
    with (
        pytest.raises(StoreError, match=r"cord version 3 \(v3\) was registered without a run"),
        recorded.artifact(version, "bundle/model.json"),
    ):
        pytest.fail("it went on")


def test_an_artifact_keeps_the_name_of_its_file(tmp_path: Path) -> None:
    store = open_store(MODEL, tmp_path)
    run = store.ensure_run({"kind": "version", "digest": A}, "v1")
    with pytest.raises(ValueError, match=r"a.txt cannot become measures/b.txt"):
        store.upload(run, tmp_path / "a.txt", "measures/b.txt")


def test_a_version_whose_run_was_removed_for_good_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    history.main()
    register.main()
    monkeypatch.setattr(Store, "find_run", lambda *_: None)
    monkeypatch.setattr(Store, "is_active", lambda *_: False)
    with pytest.raises(StoreError, match=r"is gone from MLflow at .*mlflow.db. Delete that version there"):
        register.main()
