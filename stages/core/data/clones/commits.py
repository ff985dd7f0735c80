"""What a commit of a clone holds: paths, content keys and sizes, read from git and not from the folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...base.errors import CordriftError
from ...images.volumes import POINTER_BYTES
from ..datasets.keys import git_key, parse_key
from .programs import call, git

_POINTER = b"/annex/objects/"
_LINK = "120000"


def tree(path: Path, commit: str = "HEAD") -> list[str]:
    """List every path of a commit (by default the one that is checked out), sorted."""
    return sorted(_entries(path, commit))


def links(path: Path) -> set[str]:
    """Paths that are symbolic links at the commit that is checked out: locked files, and links of git's own."""
    return {name for name, (mode, _) in _entries(path, "HEAD").items() if mode == _LINK}


def keys(path: Path, files: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the content key and size (bytes) of each file, as the commit that is checked out records them.

    Raises
    ------
    CordriftError
        A file is not in that commit, or has a key that names no content hash.
    """
    wanted = list(files)
    found = recorded(path, wanted)
    for name in wanted:
        if name not in found:
            raise CordriftError(f"{path} has no file {name} at its commit.")
    return {name: (key, parse_key(key).size) for name, key in found.items()}


def recorded(path: Path, files: Iterable[str], commit: str = "HEAD") -> dict[str, str]:
    """Return the key of each of ``files`` that a commit has, of whatever backend; sorted by path."""
    entries = _entries(path, commit)
    wanted = sorted({name for name in files if name in entries})
    blobs = _blobs(path, [entries[name][1] for name in wanted])
    return {
        name: key_in(blob, locked=entries[name][0] == _LINK) or git_key(blob)
        for name, blob in zip(wanted, blobs, strict=True)
    }


def key_in(blob: bytes, *, locked: bool) -> str:
    """Return the annex key in a pointer's text or (``locked``) a link's target; ``""`` for content of git's own."""
    if locked:  # a link into .git/annex/objects; any other link is content of git's
        target = blob.decode(errors="replace")
        return target.rsplit("/", 1)[1] if "annex/objects/" in target else ""
    if blob.startswith(_POINTER) and len(blob) <= POINTER_BYTES:
        return blob.split(b"\n", 1)[0].decode(errors="replace").rsplit("/", 1)[1].strip()
    return ""


def _entries(path: Path, commit: str) -> Mapping[str, tuple[str, str]]:
    """Path -> (mode, hash) of every file of a commit."""
    answer = git(path, ["ls-tree", "-r", "-z", "--full-tree", commit])
    pairs = (entry.split("\t", 1) for entry in answer.split("\0") if entry)
    return {name: (head.split()[0], head.split()[2]) for head, name in pairs if head.split()[1] == "blob"}


def _blobs(path: Path, hashes: Sequence[str]) -> list[bytes]:
    answer = call(["git", "-C", str(path), "cat-file", "--batch"], stdin="".join(f"{h}\n" for h in hashes).encode())
    data, at, blobs = answer.stdout, 0, []
    for _ in hashes:
        head = data.index(b"\n", at)
        size = int(data[at:head].split()[2])
        blobs.append(data[head + 1 : head + 1 + size])
        at = head + size + 2
    return blobs
