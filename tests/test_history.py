"""Priors from MLflow: all versions but the current bundle, or an error; never a wrong or an empty list."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_workspace import MODEL, A, B, files, params, workspace

from stages import history, register
from stages.core.errors import CordriftError
from stages.core.files import read_json
from stages.core.store import client, priors


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with version A registered and the bundle B packaged."""
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    register.main()
    workspace(tmp_path / "lab", B, label="v2")
    return tmp_path / "lab"


def test_new_store_has_no_priors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path))
    history.main()
    assert read_json(tmp_path / "reports/history/priors.json")["priors"] == []


def test_priors_leave_out_the_current_bundle(lab: Path) -> None:
    history.main()
    first = files(lab / "reports/history")
    register.main()
    history.main()
    assert files(lab / "reports/history") == first, "registering B must not make B a prior of itself"
    (prior,) = read_json(lab / "reports/history/priors.json")["priors"]
    assert prior == {
        "digest": A,
        "version": "1",
        "label": "v1",
        "aliases": ["anchor", "champion"],
        "bundle": A,
        "inference": "i" * 64,
        "ruler": "r" * 64,
        "frozen": "f" * 64,
        "folder": A[:12],
    }
    assert set(first) == {"priors.json", *(f"{A[:12]}/{name}" for name in priors.MEASURES)}
    assert A.encode() in first[f"{A[:12]}/measures.csv"]


def test_priors_come_by_number_not_by_text() -> None:
    numbers = [10, 2, 9, 1]
    versions = [client.Version(n, "run", (), {"digest": f"{n:064d}"}) for n in numbers]
    versions += [client.Version(11, "run", (), {"digest": f"{2:064d}"}), client.Version(3, "run", (), {})]
    chosen, foreign = priors.select(versions, f"{9:064d}")
    assert [version.number for version in chosen] == [1, 2, 10]
    assert foreign == 1, "a version made by hand is counted, not guessed at"


def test_offline_asks_nobody(lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    params(lab, offline=True)
    monkeypatch.setattr(history, "open_store", lambda *_: pytest.fail("MLflow was asked"))
    history.main()
    value = read_json(lab / "reports/history/priors.json")
    assert (value["offline"], value["priors"]) == (True, [])
    assert "nothing can be judged" in capsys.readouterr().out


def test_half_rewritten_prior_is_refused(lab: Path) -> None:
    store = client.open_store(MODEL)
    run = store.client.get_run(store.versions()[0].run_id)
    history.main()
    before = files(lab / "reports/history")
    (Path(run.info.artifact_uri) / "measures/measures.csv").write_text("schema,csa_mm2\n1,99\n")
    with pytest.raises(CordriftError, match=r"measures.csv of version 1 .* is not the file that was registered"):
        history.main()
    assert files(lab / "reports/history") == before


def test_prior_whose_files_are_lost_is_an_error(lab: Path) -> None:
    store = client.open_store(MODEL)
    run = store.client.get_run(store.versions()[0].run_id)
    (Path(run.info.artifact_uri) / "index.json").unlink()
    with pytest.raises(CordriftError, match=r"does not hold the artifact index.json"):
        history.main()


def test_prior_that_is_gone_leaves_no_folder(lab: Path) -> None:
    history.main()
    store = client.open_store(MODEL)
    store.client.delete_model_version(MODEL, "1")
    history.main()
    assert set(files(lab / "reports/history")) == {"priors.json"}
