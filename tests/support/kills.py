"""Kill a command of cordrift before any of its changes to a file, as a machine that loses its power does.

A command runs in a process of its own. Python tells an audit hook of each file that is opened for writing, renamed,
removed or made, and of each program that is started; SQLAlchemy tells of each transaction. Before the change with a
chosen number the process and all that it started are killed with SIGKILL, which no code can catch.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import re
import signal
import sqlite3
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import Engine

from stages import cli
from stages.core.base import files
from stages.core.base.files import PART
from stages.core.workspace.runs.workspace import dvc_environment
from support.warm_server import HEAVY

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
#: What two equal runs write differently: databases, artifacts by the id of their run, locks, git, times of epochs
#: and images.
_VOLATILE = re.compile(
    r"(^|/)(mlflow\.db.*|mlartifacts|\.dvc|\.git|\.datalad|__pycache__|scratch|progress\.csv|resources\.csv|\.lock-[^/]*)(/|$)"
    r"|\.lock$"
)
_TOOK = re.compile(rb"<h2>What the segmentation took</h2>.*?</section>", re.DOTALL)
_MEASURED = re.compile(rb'"(Seconds|PeakMemoryMB)": [\d.]+')
_RANDOM = re.compile(rb"\b([0-9a-f]{40}|[0-9a-f]{32}|20\d\d-\d\d-\d\dT[\d:.+]+Z?)")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (negative: the signal), how many changes it made, and what it wrote."""

    code: int
    changes: int
    text: str


def _is_change(event: str, args: tuple[object, ...], folder: str) -> bool:
    if event == "subprocess.Popen":
        return True
    if event == "open":
        path, _, flags = args[:3]
        if not (isinstance(flags, int) and flags & _WRITING):
            return False
    elif event in _CHANGES:
        path = args[0]
    else:
        return False
    return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(folder)  # noqa: PTH100 - no links


def _live(words: Sequence[str], environment: Mapping[str, str], folder: str, kill_at: int, said: str) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    files.RECENT_S = 0.0  # what was killed a moment ago is already old
    changes = 0
    counts = True

    def change() -> None:
        nonlocal changes
        if counts:
            changes += 1
            if changes == kill_at:
                os.killpg(0, signal.SIGKILL)

    def hook(event: str, args: tuple[object, ...]) -> None:
        if _is_change(event, args, folder):
            change()

    code: object = 0
    with Path(said + ".txt").open("w", encoding="utf-8") as stream:
        for standard in (1, 2):  # also what the programs say that it starts
            os.dup2(stream.fileno(), standard)
        sys.argv = ["cordrift", *words]
        sqlalchemy.event.listen(Engine, "commit", lambda _: change())
        sys.addaudithook(hook)
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                print(code, file=stream)
        finally:
            sys.stdout.flush()
    counts = False
    code = code if isinstance(code, int) else int(code is not None)
    Path(said + ".json").write_text(json.dumps([code, changes]), encoding="utf-8")


def live(words: Sequence[str], folder: Path, kill_at: int = 0, **environment: str) -> Ended:
    """Run a command of cordrift in a folder, and kill it before the change with this number; 0 kills it never."""
    said = folder.parent / "said"
    for end in (".txt", ".json"):
        said.with_suffix(end).unlink(missing_ok=True)
    context = multiprocessing.get_context("forkserver")
    # Libraries and our own modules take seconds to load: a server loads them once, and each process is a copy of it.
    ours = [f"stages.{path.stem}" for path in sorted(Path(cli.__file__).parent.glob("*.py")) if path.stem != "__init__"]
    context.set_forkserver_preload(["support.kills", *HEAVY, *ours])
    variables = {**dvc_environment(), **environment}
    process = context.Process(target=_live, args=(list(words), variables, str(folder), kill_at, str(said)))
    process.start()
    process.join()
    text = said.with_suffix(".txt").read_text(encoding="utf-8")
    end = said.with_suffix(".json")
    code, changes = json.loads(end.read_text()) if end.is_file() else (process.exitcode, kill_at)
    return Ended(code, changes, text)


def tree(folder: Path) -> dict[str, str]:
    """Return the hash of each file of a folder that two equal runs write equally, ids and times aside."""
    out = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _VOLATILE.search(name) and f"/{PART}" not in f"/{name}":
            out[name] = hashlib.sha256(_without_times(path.name, path.read_bytes())).hexdigest()
    return out


def _without_times(name: str, content: bytes) -> bytes:
    """Return the content of a file without ids and times; of a zip, that of its members one after the other.

    What the segmentation took is left out of pages and sidecars too.
    """
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = [(member, packed.read(member)) for member in sorted(packed.namelist())]
        return b"".join(member.encode() + _without_times(member, inside) for member, inside in members)
    content = _TOOK.sub(b"", content) if name.endswith(".html") else content
    content = _MEASURED.sub(b"", content) if name.endswith(".json") else content
    return _RANDOM.sub(b"", content) if name.endswith((".json", ".yaml", ".html", ".md")) else content


def parts(folder: Path) -> list[str]:
    """Return the temporary files and folders in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"{PART}*"))


def store(folder: Path) -> list[tuple[object, ...]]:
    """Return the versions in a folder's MLflow store with their tags, and which of them hold a role."""
    if not (folder / "mlflow.db").is_file():
        return []
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        versions = database.execute("SELECT version, current_stage FROM model_versions ORDER BY version").fetchall()
        tags = database.execute("SELECT version, key FROM model_version_tags ORDER BY version, key").fetchall()
        roles = database.execute("SELECT alias, version FROM registered_model_aliases ORDER BY alias").fetchall()
    return [*versions, *tags, *roles]
