"""The plan of a fetch: the content that a clone has, the content that it lacks, and where that can be downloaded."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...base.errors import DatasetError
from ...images.volumes import is_pointer
from .commits import list_links
from .programs import call
from .special_remotes import SpecialRemote

#: Places that git-annex may use in every clone without configuration: addresses on the web, bittorrent.
_BUILT_IN = {"00000000-0000-0000-0000-000000000001": "web", "00000000-0000-0000-0000-000000000002": "bittorrent"}
#: Number of files that a message names; it only counts the others.
_NAMED = 3


class Place(NamedTuple):
    """A repository or special remote that git-annex knows, with the description that its owner gave it."""

    uuid: str
    description: str


@dataclass(frozen=True)
class FetchPlan:
    """What a fetch would download.

    Attributes
    ----------
    files, size : number of selected files, and their bytes
    to_come, to_come_size : the same for the files whose content is not in the clone yet
    sources : name of a remote -> number of files that it can give; several remotes may have the same file
    samples : name of a remote -> the first file that it can give
    nowhere : file that no usable remote has -> all places that have it according to git-annex
    needed, free : bytes that the download takes on the disk, and bytes that are free there
    """

    files: int
    size: int
    to_come: int
    to_come_size: int
    sources: dict[str, int]
    samples: dict[str, str]
    nowhere: dict[str, list[Place]]
    needed: int
    free: int


def missing(clone: Path, files: Sequence[str]) -> list[str]:
    """Return the files whose content is not in the clone: pointers, links without a target, and removed files."""
    return [name for name in files if is_pointer(clone / name) or not (clone / name).exists()]


def known_places(clone: Path, files: Sequence[str]) -> dict[str, list[Place]]:
    """Return the places, other than this clone, that have the content of each file according to git-annex."""
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


def usable_remotes(clone: Path) -> dict[str, str]:
    """Return the remotes that this clone may ask for content: uuid -> name."""
    config = call(["git", "-C", str(clone), "config", "--get-regexp", r"^remote\..*\.annex-(uuid|ignore)$"])
    uuids, ignored = {}, set()
    for line in config.stdout.decode(errors="replace").splitlines():
        key, value = line.split(" ", 1)
        name, setting = key.removeprefix("remote.").rsplit(".", 1)
        if setting == "annex-uuid":
            uuids[value] = name
        elif value == "true":
            ignored.add(name)
    return _BUILT_IN | {uuid: name for uuid, name in uuids.items() if name not in ignored}


def plan_fetch(clone: Path, sizes: Mapping[str, int], free: int | None = None) -> FetchPlan:
    """Return what a fetch of files would download and from where. No content is downloaded for it.

    Parameters
    ----------
    clone : clone of the dataset
    sizes : path of each selected file -> its bytes
    free : free bytes on the disk; None: ask the disk of the clone
    """
    files = sorted(sizes)
    to_come = missing(clone, files)
    places = known_places(clone, to_come)
    usable = usable_remotes(clone)
    sources = {name: sorted({usable[place.uuid] for place in places[name] if place.uuid in usable}) for name in to_come}
    links = list_links(clone)
    return FetchPlan(
        files=len(files),
        size=sum(sizes.values()),
        to_come=len(to_come),
        to_come_size=sum(sizes[name] for name in to_come),
        sources=dict(sorted(Counter(remote for remotes in sources.values() for remote in remotes).items())),
        samples={remote: name for name in reversed(to_come) for remote in sources[name]},
        nowhere={name: sorted(places[name]) for name, remotes in sources.items() if not remotes},
        # An unlocked file is on the disk twice, as an object of git-annex and as the file. A locked one is a link.
        needed=sum(sizes[name] * (1 if name in links else 2) for name, remotes in sources.items() if remotes),
        free=shutil.disk_usage(clone).free if free is None else free,
    )


def check_space(todo: FetchPlan, clone: Path) -> None:
    """Make sure that the download fits on the disk.

    Raises
    ------
    DatasetError
        It does not fit.
    """
    if todo.needed > todo.free:
        files = todo.to_come - len(todo.nowhere)
        raise DatasetError(
            f"{files} files of {clone.name} need {_bytes(todo.needed)} in {clone} (unlocked images lie there twice: in "
            f"the annex and as files), but {_bytes(todo.free)} are free; make room, or move data/clones to a larger "
            "disk and link to it."
        )


def _bytes(size: int) -> str:
    """Return a number of bytes as text, e.g. ``2.9 MB``."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def describe_unavailable(
    name: str, nowhere: Mapping[str, Sequence[Place]], remotes: Sequence[SpecialRemote], total: int
) -> str:
    """Return a message about files that no usable remote has: how many, which, and what a person can do.

    Parameters
    ----------
    name : dataset
    nowhere : such a file -> the places that have it according to git-annex
    remotes : special remotes of the dataset, enabled or not
    total : number of selected files
    """
    files = sorted(nowhere)
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    known = Counter(place for places in nowhere.values() for place in places)
    copies = ", ".join(f"{place.description} ({count})" for place, count in known.most_common(_NAMED))
    where = f"according to git-annex they are in {copies}" if known else "git-annex knows no copy of them"
    lost = sum(not places for places in nowhere.values())
    if known and lost:
        where += f", and {lost} of them are nowhere"
    disabled = {remote for remote in remotes if any(place.uuid == remote.uuid for place in known)}
    advice = "ask the owners of the dataset for them"
    if disabled:
        # First those that the dataset asks every clone to use: they need no password.
        lines = " or ".join(
            f"`{remote.name}: {remote.kind}`" for remote in sorted(disabled, key=lambda r: (not r.autoenable, str(r)))
        )
        advice = f"if you trust that special remote, add {lines} under `remotes` of {name} in the registry"
    return (
        f"{len(files)} of {total} files of dataset {name!r} cannot be downloaded from any place that this clone may "
        f"use: {', '.join(files[:_NAMED])}{more}; {where}; {advice}, then fetch again (files that were downloaded are "
        "kept)."
    )


def describe_plan(
    name: str, todo: FetchPlan, remotes: Sequence[SpecialRemote], allowed: Mapping[str, str]
) -> list[str]:
    """Return what a fetch would do as lines of text.

    Parameters
    ----------
    name : dataset
    todo : plan of the fetch
    remotes : special remotes of the dataset
    allowed : special remotes that the registry allows, name -> kind
    """
    lines = [
        f"{name}: {todo.files} files, {_bytes(todo.size)}; {todo.files - todo.to_come} are here, {todo.to_come} "
        f"({_bytes(todo.to_come_size)}) must be downloaded",
        f"  disk: {_bytes(todo.needed)} needed, {_bytes(todo.free)} free"
        + (": NOT ENOUGH" if todo.needed > todo.free else ""),
    ]
    lines += [f"  from {source}: {count} files" for source, count in todo.sources.items()]
    for remote in remotes:
        state = (
            "enabled, as the registry allows" if remote.name in allowed else "disabled: the registry does not name it"
        )
        wish = ", which the dataset asks every clone to use," if remote.autoenable else ""
        lines.append(f"  special remote {remote}{wish} is {state}")
    if todo.nowhere:
        lines.append("  " + describe_unavailable(name, todo.nowhere, remotes, todo.files))
    return lines
