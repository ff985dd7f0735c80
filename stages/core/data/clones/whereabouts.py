"""Which content of a clone is here, what is still to come, and from where: a plan before anything is downloaded."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...base.errors import CordriftError
from ...images.volumes import is_pointer
from .commits import links
from .programs import call
from .special_remotes import SpecialRemote

#: Places that git-annex asks in every clone without being told: addresses on the web, bittorrent.
_ALWAYS = {"00000000-0000-0000-0000-000000000001": "web", "00000000-0000-0000-0000-000000000002": "bittorrent"}
#: Files that a sentence names before it counts the others.
_NAMED = 3


class Place(NamedTuple):
    """A repository or special remote that git-annex knows of, with the description that its owner gave it."""

    uuid: str
    description: str


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
    nowhere: dict[str, list[Place]]
    needed: int
    free: int


def missing(clone: Path, files: Sequence[str]) -> list[str]:
    """Files whose content is not in the working tree: pointers, dangling links, and what was removed."""
    return [name for name in files if is_pointer(clone / name) or not (clone / name).exists()]


def places(clone: Path, files: Sequence[str]) -> dict[str, list[Place]]:
    """Return where git-annex last knew the content of each file: every place but this clone."""
    if not files:
        return {}
    command = ["git", "-C", str(clone), "annex", "whereis", "--json", "--batch", "-z"]
    answer = call(command, stdin="\0".join(files).encode(errors="surrogateescape"))
    found: dict[str, list[Place]] = {name: [] for name in files}
    for line in answer.stdout.decode(errors="replace").splitlines():
        if line.startswith("{"):
            result = json.loads(line)
            copies = [*result.get("whereis", []), *result.get("untrusted", [])]
            found[result["file"]] = [Place(copy["uuid"], copy["description"]) for copy in copies if not copy["here"]]
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
    return _ALWAYS | {uuid: name for uuid, name in uuids.items() if name not in ignored}


def plan(clone: Path, sizes: Mapping[str, int], free: int | None = None) -> Plan:
    """Say what a fetch of files (path -> bytes) would bring and from where; asks ``origin``, downloads no content.

    ``free``: bytes that are free on the disk, by default asked.
    """
    files = sorted(sizes)
    to_come = missing(clone, files)
    known = places(clone, to_come)
    asked = reachable(clone)
    held = {name: sorted({asked[place.uuid] for place in known[name] if place.uuid in asked}) for name in to_come}
    linked = links(clone)
    return Plan(
        files=len(files),
        size=sum(sizes.values()),
        to_come=len(to_come),
        to_come_size=sum(sizes[name] for name in to_come),
        sources=dict(sorted(Counter(source for sources in held.values() for source in sources).items())),
        nowhere={name: sorted(known[name]) for name, sources in held.items() if not sources},
        # An unlocked image lies on the disk twice, as git-annex's object and as the file; a link leads to the object.
        needed=sum(sizes[name] * (1 if name in linked else 2) for name, sources in held.items() if sources),
        free=shutil.disk_usage(clone).free if free is None else free,
    )


def check_space(todo: Plan, clone: Path) -> None:
    """Refuse a fetch for which the disk has no room.

    Raises
    ------
    CordriftError
        With the need, what is free, and where.
    """
    if todo.needed > todo.free:
        files = todo.to_come - len(todo.nowhere)
        raise CordriftError(
            f"{files} files of {clone.name} need {_bytes(todo.needed)} in {clone} (unlocked images lie there twice: in "
            f"the annex and as files), but {_bytes(todo.free)} are free; make room, or move data/clones to a larger "
            "disk and link to it."
        )


def _bytes(size: int) -> str:
    """A number of bytes for people, in the largest unit of which it holds one."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def unreachable(name: str, nowhere: Mapping[str, Sequence[Place]], remotes: Sequence[SpecialRemote], total: int) -> str:
    """Sentence for content that nobody who may be asked holds: how much, which files, where it was last known."""
    files = sorted(nowhere)
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    known = Counter(place for places in nowhere.values() for place in places)
    copies = ", ".join(f"{place.description} ({count})" for place, count in known.most_common(_NAMED))
    where = f"git-annex last knew content of theirs in {copies}" if known else "git-annex knows of no copy"
    lost = sum(not places for places in nowhere.values())
    if known and lost:
        where += f", and of {lost} it knows no copy"
    off = {remote for remote in remotes if any(place.uuid == remote.uuid for place in known)}
    way = "ask the owners of the dataset for it"
    if off:
        lines = ", ".join(f"`{remote.name}: {remote.kind}`" for remote in sorted(off, key=str))
        way = f"if you trust that special remote, add {lines} under `remotes` of {name} in the registry"
    return (
        f"{len(files)} of {total} files of dataset {name!r} cannot be had from any place that this clone may ask: "
        f"{', '.join(files[:_NAMED])}{more}; {where}; {way}, then fetch again: what came is kept."
    )


def describe(name: str, todo: Plan, remotes: Sequence[SpecialRemote], allowed: Mapping[str, str]) -> list[str]:
    """Lines for a person: what a fetch of a dataset would do."""
    lines = [
        f"{name}: {todo.files} files, {_bytes(todo.size)}; {todo.files - todo.to_come} are here, {todo.to_come} "
        f"({_bytes(todo.to_come_size)}) are to come",
        f"  disk: {_bytes(todo.needed)} needed, {_bytes(todo.free)} free"
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
