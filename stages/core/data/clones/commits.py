"""Read what a commit of a clone contains (paths, content keys, sizes) from git, not from the working files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...base.errors import DatasetError
from ...images.volumes import POINTER_BYTES, is_lfs_pointer
from ..datasets.keys import git_key, parse_key
from .programs import call, git

_POINTER = b"/annex/objects/"
#: File mode with which git records a symbolic link.
_LINK = "120000"


def list_paths(clone: Path, commit: str = "HEAD") -> list[str]:
    """Return all paths of a commit, sorted; by default of the commit that is checked out."""
    return sorted(_entries(clone, commit))


def list_links(clone: Path) -> set[str]:
    """Return the paths that are symbolic links at the commit that is checked out, e.g. locked annex files."""
    return {name for name, (mode, _) in _entries(clone, "HEAD").items() if mode == _LINK}


def list_inner_links(clone: Path, files: Iterable[str]) -> dict[str, str]:
    """Return path -> target for those of the files that are links to another file, and not to annexed content."""
    entries = _entries(clone, "HEAD")
    links = sorted(name for name in files if entries.get(name, ("", ""))[0] == _LINK)
    blobs = _read_blobs(clone, [entries[name][1] for name in links])
    targets = dict(zip(links, blobs, strict=True))
    return {
        name: blob.decode(errors="replace") for name, blob in targets.items() if not annex_key_in(blob, is_link=True)
    }


def keys_and_sizes(clone: Path, files: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the content key and size (bytes) that the commit that is checked out records for each file.

    Raises
    ------
    DatasetError
        A file is not in that commit, is a git-lfs pointer, or its key contains no content hash.
    """
    wanted = list(files)
    keys = recorded_keys(clone, wanted)
    lfs = [name for name in wanted if is_lfs_pointer(clone / name)]
    if lfs:
        raise DatasetError(
            f"{clone} holds {lfs[0]} ({len(lfs)} of {len(wanted)} files) as a git-lfs pointer, and not its content; "
            "git-annex cannot fetch that. Run `git lfs pull` in the dataset and publish the files with DataLad."
        )
    for name in wanted:
        if name not in keys:
            raise DatasetError(f"{clone} has no file {name} at its commit.")
    return {name: (key, parse_key(key).size) for name, key in keys.items()}


def recorded_keys(clone: Path, files: Iterable[str], commit: str = "HEAD") -> dict[str, str]:
    """Return the content key of each file that is in a commit, sorted by path; other files are left out.

    A key may be of any backend, also of one without a content hash.
    """
    entries = _entries(clone, commit)
    wanted = sorted({name for name in files if name in entries})
    blobs = _read_blobs(clone, [entries[name][1] for name in wanted])
    return {
        name: annex_key_in(blob, is_link=entries[name][0] == _LINK) or git_key(blob)
        for name, blob in zip(wanted, blobs, strict=True)
    }


def annex_key_in(blob: bytes, *, is_link: bool) -> str:
    """Return the annex key in the text of a pointer file or in the target of a link; ``""`` where there is none.

    >>> annex_key_in(b"/annex/objects/MD5E-s5--5d41402abc4b2a76b9719d911017c592.txt", is_link=False)
    'MD5E-s5--5d41402abc4b2a76b9719d911017c592.txt'
    """
    if is_link:  # only a link into .git/annex/objects stands for annexed content
        target = blob.decode(errors="replace")
        return target.rsplit("/", 1)[1] if "annex/objects/" in target else ""
    if blob.startswith(_POINTER) and len(blob) <= POINTER_BYTES:
        return blob.split(b"\n", 1)[0].decode(errors="replace").rsplit("/", 1)[1].strip()
    return ""


def _entries(clone: Path, commit: str) -> Mapping[str, tuple[str, str]]:
    """Return path -> (mode, hash of the blob) for every file of a commit."""
    answer = git(clone, ["ls-tree", "-r", "-z", "--full-tree", commit])
    pairs = (entry.split("\t", 1) for entry in answer.split("\0") if entry)
    return {name: (head.split()[0], head.split()[2]) for head, name in pairs if head.split()[1] == "blob"}


def _read_blobs(clone: Path, hashes: Sequence[str]) -> list[bytes]:
    """Return the contents of blobs in the order of their hashes."""
    answer = call(["git", "-C", str(clone), "cat-file", "--batch"], stdin="".join(f"{h}\n" for h in hashes).encode())
    data, at, blobs = answer.stdout, 0, []
    for _ in hashes:
        head = data.index(b"\n", at)
        size = int(data[at:head].split()[2])
        blobs.append(data[head + 1 : head + 1 + size])
        at = head + size + 2
    return blobs
