"""What the tests of fetch share: a workspace for one dataset, and a special remote whose program writes a log."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stages import fetch
from stages.core.data.clones import fetch as fetching
from stages.core.data.clones.programs import git
from stages.core.data.datasets.manifest import locate, read_manifest
from stages.core.data.datasets.registry import REGISTRY, load_registry
from support.data_factory import entry, image_path, workspace

PEOPLE = {"sub-a1": "a", "sub-a2": "a"}
IMAGE = image_path("sub-a1", "T1w")
OUT = Path("data/fetch/ds.json")
CLONE = Path("data/clones/ds")


def register(url: str, source: Path, **changes: Any) -> None:
    """Write a workspace that knows the dataset, at its newest commit, under an address."""
    commit = git(source, ["rev-parse", "HEAD"]).strip()
    git(source, ["tag", "--force", "r1"])
    workspace(Path(), {"ds": entry(url, commit) | changes}, [("sub-none", "other")])


def selected() -> fetching.SelectedClone:
    """Clone the registered dataset and select from it; no content."""
    return fetching.clone_and_select("ds", load_registry(REGISTRY).datasets["ds"], [])


def fetched() -> int:
    """Fetch, and count the files that are as their keys say."""
    fetch.main(["--dataset", "ds"])
    manifest = read_manifest(OUT)
    return len([locate(manifest, file.path) for file in manifest.files])


#: Keeps keys in a folder and logs every request. While the folder holds a file ``hang``, the sixth download never ends:
#: it says so through the pipe ``hanging``.
_PROGRAM = """#!{python}
import pathlib, shutil, signal, sys
store = pathlib.Path({store!r})
def log(word):
    with (store / "log").open("a") as stream:
        stream.write(word + "\\n")
log("START")
print("VERSION 1", flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] in ("INITREMOTE", "PREPARE"):
        print(words[0] + "-SUCCESS", flush=True)
    elif words[0] == "TRANSFER":
        log(words[1])
        key, file = words[2], line.rstrip("\\n").split(" ", 3)[3]
        if words[1] == "RETRIEVE" and (store / "hang").exists() and (store / "log").read_text().count("RETRIEVE") > 5:
            pathlib.Path(file).write_bytes((store / key).read_bytes()[:50])
            (store / "hanging").open("w").write("now")
            signal.pause()
        pair = (file, store / key) if words[1] == "STORE" else (store / key, file)
        shutil.copyfile(*pair)
        print("TRANSFER-SUCCESS", words[1], key, flush=True)
    elif words[0] == "CHECKPRESENT":
        if (store / "silent").exists():
            signal.pause()
        state = "SUCCESS" if (store / words[1]).exists() else "FAILURE"
        print("CHECKPRESENT-" + state, words[1], flush=True)
    elif words[0] == "REMOVE":
        print("REMOVE-SUCCESS", words[1], flush=True)
    else:
        print("UNSUPPORTED-REQUEST", flush=True)
"""


def make_bucket(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move all content of a dataset into an external special remote ``bucket`` that asks to be switched on.

    Returns the folder of its program's store, with an empty log.
    """
    store, program = folder / "store", folder / "bin/git-annex-remote-bucket"
    store.mkdir()
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(python=sys.executable, store=str(store)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    settings = ["type=external", "externaltype=bucket", "encryption=none", "autoenable=true"]
    git(source, ["annex", "initremote", "bucket", *settings])
    git(source, ["annex", "copy", "--quiet", "--to", "bucket"])
    git(source, ["annex", "drop", "--force", "--quiet", "."])
    (store / "log").write_text("")
    return store


def wait_for_session(session: int) -> None:
    """Wait until no thread of a killed session runs: until then git-annex still holds the lock of its transfer."""

    def alive(stat: Path) -> bool:
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it ended between the listing and the reading
            return False
        return int(of) == session and state != "Z"

    deadline = time.monotonic() + 30
    # Threads, not processes: one whose first thread is a zombie may have others that still end.
    while any(alive(stat) for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat")):
        assert time.monotonic() < deadline, "killed processes are still there"
        time.sleep(0.01)


def spoil(file: Path) -> None:
    """Truncate a file, whoever may write to it."""
    file.resolve().parent.chmod(0o755)
    file.chmod(0o644)
    os.truncate(file, 100)
