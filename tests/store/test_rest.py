"""A stage that asks MLflow is skipped exactly where nothing that decides its output has changed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core.store.location import VARIABLE
from stages.core.store.rest import KEPT, keep, put_back

OUT = Path("reports/history/priors.json")
DVC = """
stages:
  history:
    cmd: python -m stages.history
    deps: [data/package/model.json, reports/measure]
    outs: [reports/history]
"""


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace whose stage has run once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    files = {"dvc.yaml": DVC, "params.yaml": "a: 1", "data/package/model.json": "{}", "reports/measure/a.csv": "1",
             "reports/measure/b/c.csv": "2", str(OUT): "the answer"}  # fmt: skip
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    with sqlite3.connect("mlflow.db") as store:
        store.execute("CREATE TABLE versions (name TEXT)")
    keep("history")
    shutil.rmtree(OUT.parent)  # DVC removes an output before it runs the stage


def test_the_output_is_put_back_where_nothing_has_changed() -> None:
    said: list[str] = []
    assert put_back("history", said.append)
    assert OUT.read_text() == "the answer"
    assert [path.name for path in OUT.parent.parent.iterdir() if path.name.startswith(".")] == []
    assert said[0].startswith("history: the MLflow store and everything that is read")
    assert put_back("history"), "as often as one likes"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda: Path("params.yaml").write_text("a: 2"), id="a param"),
        pytest.param(lambda: Path("dvc.yaml").write_text(DVC + "# other"), id="the pipeline"),
        pytest.param(lambda: Path("reports/measure/b/c.csv").write_text("3"), id="an input"),
        pytest.param(lambda: Path("reports/measure/d.csv").write_text(""), id="a new input"),
        pytest.param(lambda: Path("reports/measure/a.csv").unlink(), id="an input that is gone"),
        pytest.param(lambda: Path("reports/measure/a.csv").rename("reports/measure/z.csv"), id="a name"),
        pytest.param(lambda: shutil.rmtree(KEPT), id="no kept output"),
        pytest.param(lambda: shutil.rmtree(KEPT / "history/out"), id="half of it"),
        pytest.param(lambda: Path("mlflow.db").unlink(), id="no store"),
        pytest.param(lambda: Path("dvc.yaml").unlink(), id="no pipeline"),
    ],
)
def test_any_change_asks_again(change: object) -> None:
    assert callable(change)
    change()
    assert not put_back("history")
    assert not OUT.exists(), "nothing is written"


def test_a_version_that_somebody_registered_is_asked_for() -> None:
    with sqlite3.connect("mlflow.db") as store:
        store.execute("INSERT INTO versions VALUES ('v2')")
    assert not put_back("history")


@pytest.mark.parametrize("uri", ["https://mlflow.example.org", "sqlite:///other.db"])
def test_a_server_and_another_store_are_asked(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile("mlflow.db", "other.db")
    monkeypatch.setenv(VARIABLE, uri)
    assert not put_back("history")


def test_a_stage_that_rests_imports_nothing_that_takes_long() -> None:
    code = "import sys; import stages.{0}; print({{'mlflow', 'pandas', 'numpy', 'torch'}} & set(sys.modules))"
    for stage in ("declare", "history", "register"):
        words = [sys.executable, "-c", code.format(stage)]
        done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n", stage
