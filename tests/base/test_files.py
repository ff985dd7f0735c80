"""Tables that no spreadsheet computes, and files that are broken or in another encoding."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cords import ROOT

from stages.core.base.errors import CordriftError
from stages.core.base.files import read_csv, read_json, remove_parts, whole_file, whole_folder, write_csv
from stages.core.base.inventory import faults_of, write_inventory

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", '=HYPERLINK("https://x")']


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_computes_no_text_of_a_table(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"name": [text], "bias_mm2": [-0.5]}))
    raw = pd.read_csv(tmp_path / "t.csv")
    assert raw["name"][0] == f"'{text}"
    assert raw["bias_mm2"][0] == -0.5, "a negative number stays a number"
    assert read_csv(tmp_path / "t.csv", text=("name",))["name"][0] == text


#: Texts that stand for an empty cell, whoever wrote them.
EMPTY = {"", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "<NA>", "#N/A", "#NA", "#N/A N/A"}
EMPTY |= {"1.#IND", "1.#QNAN"}
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"])).filter(lambda cell: cell not in EMPTY)


@given(st.lists(CELLS, min_size=1))
def test_what_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    path = tmp_path_factory.mktemp("cells") / "t.csv"
    write_csv(path, pd.DataFrame({"name": cells, "n": range(len(cells))}))
    assert read_csv(path, text=("name",))["name"].tolist() == cells


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("schema,a\n1,\u00e9\n".encode("latin-1"), "is not a table of comma-separated values in UTF-8"),
        ("schema,a\n1,e\n".encode("utf-16"), "is not a table of comma-separated values in UTF-8"),
        (b"", "is not a table of comma-separated values in UTF-8"),
        (bytes(range(256)) * 4, "is not a table of comma-separated values in UTF-8"),
        (b"a,b\n1,2\n", "has no column 'schema'"),
        (b"schema,a\n99,2\n", "install a newer cordrift"),
        (b"schema,a\nx,2\n", "carries no schema number"),
    ],
)
def test_a_table_that_is_none_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CordriftError, match=sentence):
        read_csv(tmp_path / "t.csv", text=("a",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": 1, "a": NaN}', "NaN is no number of JSON"),
        ('{"schema": 1, "a": Infinity}', "Infinity is no number of JSON"),
        ("[1]", "must hold a JSON object"),
        ('{"a": 1}', "carries no schema number"),
        ('{"schema": true}', "carries no schema number"),
        ('{"schema": 99}', "install a newer cordrift"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"schema": 1', "is not valid JSON"),
        ("", "is not valid JSON"),
    ],
)
def test_a_json_file_that_is_none_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(CordriftError, match=sentence):
        read_json(tmp_path / "f.json")


def test_an_inventory_names_each_file_that_is_not_as_it_was(tmp_path: Path) -> None:
    for name in ("a/one", "a/two", "b/three"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    write_inventory(tmp_path, ("a/*",))
    assert faults_of(tmp_path) == []
    (tmp_path / "b/three").write_text("not listed")
    (tmp_path / "a/one").write_text("a/on")
    (tmp_path / "a/two").unlink()
    (tmp_path / "a/four").touch()
    assert [fault.split(" is ")[0] for fault in faults_of(tmp_path)] == ["a/one", "a/two", "a/four was added"]
    assert faults_of(tmp_path, ["b/three"]) == ["b/three is not in its inventory"]


def test_what_a_killed_process_left_is_removed_and_what_another_one_uses_is_not(tmp_path: Path) -> None:
    def old(path: Path) -> Path:
        os.utime(path, (0, 0))
        return path

    dead, alive, other = (tmp_path / name for name in (".part-out-dead", ".part-out-alive", ".part-more-dead"))
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "mask.nii.gz").write_bytes(b"x")
        old(folder)
    torn = old(Path(shutil.copyfile(alive / "mask.nii.gz", tmp_path / ".part-x-table.csv")))
    recent = tmp_path / ".part-out-new"
    recent.mkdir()
    handle = os.open(alive, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with whole_folder(tmp_path / "out") as part:
            assert not dead.exists()
            assert (part.exists(), alive.exists(), other.exists(), recent.exists(), torn.exists()) == (True,) * 5
            old(part)
            assert remove_parts(tmp_path) == [other, torn], "this process uses the one that it writes"
    finally:
        os.close(handle)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-out-alive", ".part-out-new", "out"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_sigkill_leaves_nothing_for_longer_than_the_next_writing(tmp_path: Path, kind: str) -> None:
    code = f"""
import os, signal
from pathlib import Path
from stages.core.base.files import whole_file, whole_folder
with whole_{kind}(Path("out")) as part:
    (part / "x" if part.is_dir() else part).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    with whole_folder(tmp_path / "out") if kind == "folder" else whole_file(tmp_path / "out"):
        assert not left.exists()


def test_a_file_that_is_missing_is_named_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(CordriftError, match=r"f.json is missing; `dvc repro` or `dvc pull` makes it"):
        read_json(tmp_path / "f.json")
    with pytest.raises(CordriftError, match=r"t.csv is missing; `dvc repro` or `dvc pull` makes it"):
        read_csv(tmp_path / "t.csv")
