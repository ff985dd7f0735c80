"""Which content of a clone is here, what is still to come, and from where: a plan before anything is downloaded."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.core.children import call, git
from stages.core.errors import CordriftError
from stages.core.special import SpecialRemote
from stages.core.volumes import is_pointer

_GIGA = 1e9


@dataclass(frozen=True)
class Plan:
    """What a fetch would do.

    Attributes
    ----------
    files, size : selected files, and their bytes
    to_come, to_come_size : those whose content is not here yet
    sources : where the content to come lies -> number of files; a file may lie in several
    nowhere : files whose content no place holds that this clone may ask, with the places that git-annex knows of
    needed, free : bytes that the download would take and that the disk has
    """

    files: int
    size: int
    to_come: int
    to_come_size: int
    sources: dict[str, int]
    nowhere: dict[str, list[str]]
    needed: int
    free: int


def missing(clone: Path, files: Sequence[str]) -> list[str]:
    """Files whose content is not in the working tree: pointers, dangling links, and what was removed."""
    return [name for name in files if is_pointer(clone / name) or not (clone / name).exists()]


def places(clone: Path, files: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return where git-annex last knew the content of each file: (uuid, description) of every place but this clone."""
    if not files:
        return {}
    command = ["git", "-C", str(clone), "annex", "whereis", "--json", "--batch"]
    answer = call(command, stdin="".join(f"{name}\n" for name in files).encode())
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in files}
    for line in answer.stdout.decode(errors="replace").splitlines():
        if line.startswith("{"):
            result = json.loads(line)
            copies = [*result.get("whereis", []), *result.get("untrusted", [])]
            found[result["file"]] = [(copy["uuid"], copy["description"]) for copy in copies if not copy["here"]]
    return found


def reachable(clone: Path) -> dict[str, str]:
    """Places that this clone may ask for content: uuid -> name of the remote."""
    config = call(["git", "-C", str(clone), "config", "--get-regexp", r"^remote\..*\.annex-(uuid|ignore)$"])
    uuids, ignored = {}, set()
    for line in config.stdout.decode(errors="replace").splitlines():
        key, value = line.split(" ", 1)
        name, what = key.removeprefix("remote.").rsplit(".", 1)
        if what == "annex-uuid":
            uuids[value] = name
        elif value == "true":
            ignored.add(name)
    return {uuid: name for uuid, name in uuids.items() if name not in ignored}


def plan(clone: Path, sizes: Mapping[str, int], free: int | None = None) -> Plan:
    """Say what a fetch of files (path -> bytes) would bring and from where; asks ``origin``, downloads no content.

    ``free``: bytes that are free on the disk, by default asked.
    """
    files = sorted(sizes)
    to_come = missing(clone, files)
    known = places(clone, to_come)
    asked = reachable(clone)
    sources: Counter[str] = Counter()
    nowhere: dict[str, list[str]] = {}
    for name in to_come:
        here = sorted({asked[uuid] for uuid, _ in known[name] if uuid in asked})
        sources.update(here)
        if not here:
            nowhere[name] = sorted({description for _, description in known[name]})
    linked = _links(clone)
    needed = sum(sizes[name] * (1 if name in linked else 2) for name in to_come)
    disk = shutil.disk_usage(clone).free if free is None else free
    here_size = sum(sizes[name] for name in to_come)
    return Plan(
        len(files), sum(sizes.values()), len(to_come), here_size, dict(sorted(sources.items())), nowhere, needed, disk
    )


def _links(clone: Path) -> set[str]:
    """Locked files: their content lies on the disk once, that of unlocked ones in the object store too."""
    entries = git(clone, ["ls-tree", "-r", "-z", "--full-tree", "HEAD"]).split("\0")
    return {entry.split("\t", 1)[1] for entry in entries if entry.startswith("120000 ")}


def check_space(todo: Plan, clone: Path) -> None:
    """Refuse a fetch for which the disk has no room.

    Raises
    ------
    CordriftError
        With the need, what is free, and where.
    """
    if todo.needed > todo.free:
        raise CordriftError(
            f"{todo.to_come} files of {clone.name} need {todo.needed / _GIGA:.2f} GB in {clone} (unlocked images lie "
            f"there twice: in the annex and as files), but {todo.free / _GIGA:.2f} GB are free; make room, or move "
            "data/clones to a larger disk and link to it."
        )


def unreachable(name: str, nowhere: Mapping[str, list[str]], remotes: Sequence[SpecialRemote], total: int) -> str:
    """Sentence for content that nobody who may be asked holds: how much, what first, where it was last known."""
    first = min(nowhere)
    known = nowhere[first]
    off = [remote for remote in remotes if any(remote.name in place for place in known)]
    where = f"git-annex last knew it in {', '.join(known)}" if known else "git-annex knows of no copy"
    way = "ask the owners of the dataset for it"
    if off:
        lines = "; ".join(f"`{remote.name}: {remote.kind}`" for remote in off)
        way = f"if you trust that special remote, add {lines} under `remotes` of {name} in the registry"
    return (
        f"{len(nowhere)} of {total} files of dataset {name!r} cannot be had from any place that this clone may ask, "
        f"first: {first}; {where}; {way}, then fetch again: what came is kept."
    )


def describe(name: str, todo: Plan, remotes: Sequence[SpecialRemote], allowed: Mapping[str, str]) -> list[str]:
    """Lines for a person: what a fetch of a dataset would do."""
    lines = [
        f"{name}: {todo.files} files, {todo.size / _GIGA:.3f} GB; {todo.files - todo.to_come} are here, {todo.to_come} "
        f"({todo.to_come_size / _GIGA:.3f} GB) are to come",
        f"  disk: {todo.needed / _GIGA:.3f} GB needed, {todo.free / _GIGA:.3f} GB free"
        + (": NOT ENOUGH" if todo.needed > todo.free else ""),
    ]
    lines += [f"  from {source}: {count} files" for source, count in todo.sources.items()]
    for remote in remotes:
        state = (
            "switched on, as the registry allows" if remote.name in allowed else "off: the registry does not name it"
        )
        wish = ", which the dataset asks every clone to use," if remote.autoenable else ""
        lines.append(f"  special remote {remote}{wish} is {state}")
    if todo.nowhere:
        lines.append("  " + unreachable(name, todo.nowhere, remotes, todo.files))
    return lines
