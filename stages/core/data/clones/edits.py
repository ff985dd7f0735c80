"""Working files of a clone that are not as its commit says: put right where nothing is lost, else refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...base.errors import CordriftError
from ...images.volumes import is_pointer
from ..datasets.keys import verify
from .commits import key_in, recorded
from .programs import call, git


def settle(path: Path, target: str) -> None:
    """Bring the working files of a clone into a state from which ``target`` (a commit) can be checked out.

    A file that someone removed, perhaps because its content was bad, comes back. What an interrupted ``get`` or
    checkout left is no edit: each such file is as the commit that is checked out says, or as ``target`` does.

    Raises
    ------
    CordriftError
        A file was edited.
    """
    if not _changed(path):
        return
    # A `get` that was killed has brought files of which git's index does not know yet.
    call(["git", "-C", str(path), "annex", "restage", "--quiet"])
    changed = _changed(path)
    names = [name for _, name in changed]
    head = recorded(path, names)
    allowed = [head, recorded(path, names, target)]
    removed = [name for status, name in changed if status == " D"]
    edited = [
        name
        for status, name in changed
        if status != " D" and not any(name in keys and _holds(path / name, keys[name]) for keys in allowed)
    ]
    if removed:
        restore(path, removed)
    # A `get` killed between bringing a file and noting so leaves nothing to restage: git compares sizes, not contents.
    known = [name for status, name in changed if status == " M" and name in head and _holds(path / name, head[name])]
    if known:
        git(path, ["update-index", "-z", "--stdin"], stdin="".join(f"{name}\0" for name in known))
    if edited:
        more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        raise CordriftError(
            f"{path} has local edits: {edited[0]}{more}. A clone belongs to the pipeline; save the edits in the "
            f"dataset itself and pin the new commit, or remove the file (`rm {path / edited[0]}`) and fetch again."
        )


def restore(path: Path, names: Sequence[str]) -> None:
    """Write removed files as the commit has them; an object in the annex whose content is bad is dropped first.

    What was truncated may be the object itself: a locked file is a link to it.
    """
    keys = sorted({key for key in recorded(path, names).values() if not key.startswith("GIT-")})
    places = _batch(path, ["contentlocation"], keys).splitlines()
    _batch(
        path,
        ["dropkey", "--force", "--quiet"],
        [key for key, place in zip(keys, places, strict=False) if place and not _holds(path / place, key)],
    )
    git(path, ["checkout", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul"], stdin="\0".join(names))


def _batch(path: Path, words: Sequence[str], keys: Sequence[str]) -> str:
    """Run a git-annex command over keys; an answer of one line a key."""
    return git(path, ["annex", *words, "--batch"], stdin="".join(f"{key}\n" for key in keys)) if keys else ""


def _changed(path: Path) -> list[tuple[str, str]]:
    """(status of two letters, path) of every file that git takes for changed; files that git does not know are not."""
    answer = git(path, ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no"])
    return [(entry[:2], entry[3:]) for entry in answer.split("\0") if entry]


def _holds(file: Path, key: str) -> bool:
    """Tell whether a file holds the content with a key, or stands for it (a pointer, a link)."""
    if file.is_symlink():
        return key_in(str(file.readlink()).encode(), locked=True) == key
    if is_pointer(file):
        return key_in(file.read_bytes(), locked=False) == key
    try:
        verify(file, key)
    except CordriftError:
        return False
    return True
