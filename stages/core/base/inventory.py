"""The inventory of a folder: the content of each file, so that a reader sees what was cut, edited, added or lost.

Some readers of images fill the rest of a file that was cut with zeros and say nothing, and a copy from a remote is not
always verified. Such a file would be used as if it were whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import read_json, sha256_of, write_json

#: The file that holds the inventory of its folder.
INVENTORY = "inventory.json"


def write_inventory(folder: Path, patterns: Sequence[str] = ("**/*",)) -> None:
    """Write ``inventory.json``: the SHA-256 of each file below ``folder`` whose path one of the patterns matches."""
    names = _files(folder, patterns)
    files = {name: sha256_of(folder / name) for name in names}
    write_json(folder / INVENTORY, {"patterns": sorted(patterns), "files": files})


def faults_of(folder: Path, names: Iterable[str] | None = None) -> list[str]:
    """Compare a folder with its inventory, and return a clause for each file that differs, sorted by name.

    Parameters
    ----------
    folder : with an inventory
    names : the files to compare; None for all, where a file that is there in addition is a fault too

    Raises
    ------
    CordriftError
        There is no inventory, or it cannot be read.
    """
    held = read_json(folder / INVENTORY)
    files = held.get("files")
    if not isinstance(files, dict):
        return [f"{INVENTORY} lists no files"]
    faults = []
    for name in sorted(files if names is None else names):
        if name not in files:
            faults.append(f"{name} is not in its inventory")
        elif not (folder / name).is_file():
            faults.append(f"{name} is missing")
        elif sha256_of(folder / name) != files[name]:
            faults.append(f"{name} is not the file that was written: it was cut or edited")
    if names is None:
        added = set(_files(folder, held.get("patterns") or ["**/*"])) - set(files)
        faults += [f"{name} was added" for name in sorted(added)]
    return faults


def _files(folder: Path, patterns: Iterable[str]) -> list[str]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(name for path in found if (name := path.relative_to(folder).as_posix()) != INVENTORY)
