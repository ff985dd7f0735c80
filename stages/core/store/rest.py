"""Skip the question to a local MLflow store where nothing has changed since a stage last asked it.

DVC does not see MLflow, so the stages that ask it run in every `dvc repro`. MLflow takes seconds to import, and in a
finished workspace the answer is the same each time. A local store is one SQLite file: when it, the params and all that
the stage declares in ``dvc.yaml`` hold the same bytes as after its last run, so does its output, of which a copy is
kept. A server can change unseen and is always asked. This module imports nothing that takes long.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .location import find_location

#: Folder of the kept outputs, each beside a file that names the state to which it belongs.
KEPT = Path("data/scratch/rest")
_STATE = "state.txt"


def put_back(stage: str, say: Callable[[str], object] = str) -> bool:
    """Write the output of the stage's last run again, where nothing that decides it has changed since.

    Parameters
    ----------
    stage : name of a stage with one output, a folder
    say : called with a sentence where this was done

    Returns
    -------
    Whether this was so. Otherwise the stage must run, and call :func:`keep` afterwards.
    """
    block = _declared(stage)
    noted = KEPT / stage / _STATE
    if block is None or not noted.is_file() or noted.read_text(encoding="utf-8") != _state(block):
        return False
    (out,) = (Path(name) for name in block["outs"])
    kept = KEPT / stage / "out"
    if _files(kept) == []:
        return False
    part = out.with_name(f".part-{out.name}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(kept, part)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    say(f"{stage}: the MLflow store and everything that is read are as they were after the last run")
    return True


def keep(stage: str) -> None:
    """Keep a copy of the stage's output, with the state of all that decided it."""
    block = _declared(stage)
    if block is None:
        return
    folder = KEPT / stage
    shutil.rmtree(folder, ignore_errors=True)
    (out,) = (Path(name) for name in block["outs"])
    shutil.copytree(out, folder / "out")
    (folder / _STATE).write_text(_state(block), encoding="utf-8")  # last: a copy that was interrupted has no state


def _declared(stage: str) -> dict[str, Any] | None:
    """Return the stage's block of ``dvc.yaml``; None where there is no local store, or no pipeline in this folder."""
    database = find_location().database
    if database is None or not database.is_file() or not Path("dvc.yaml").is_file():
        return None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the other one takes a tenth of a second
    block: dict[str, Any] | None = yaml.load(Path("dvc.yaml").read_bytes(), loader)["stages"].get(stage)  # noqa: S506 - both loaders are safe
    return block


def _state(block: dict[str, Any]) -> str:
    """Return a digest of the store, the params and all files that the stage reads."""
    digest = hashlib.sha256()
    for name in [*block["deps"], "params.yaml", "dvc.yaml", str(find_location().database)]:
        for path in _files(Path(name)):
            digest.update(f"\0{path}\0".encode())
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sorted(found)
