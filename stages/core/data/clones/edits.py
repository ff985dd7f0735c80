"""Working files of a clone that differ from its commit: restore what can be restored, refuse what a person edited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...base.errors import DatasetError
from ...images.volumes import is_pointer
from ..datasets.keys import verify
from .commits import annex_key_in, recorded_keys
from .programs import call, git


def prepare_checkout(clone: Path, target: str) -> None:
    """Make the working files of a clone ready for the checkout of a commit, ``target``.

    Removed files are restored: somebody may have removed them because their content was bad. A file counts as edited
    only when it is neither as the current commit records it nor as ``target`` does; an interrupted download or checkout
    leaves such files.

    Raises
    ------
    DatasetError
        A file was edited.
    """
    if not _changed_files(clone):
        return
    # An interrupted `git annex get` may have brought files of which git's index does not know yet.
    call(["git", "-C", str(clone), "annex", "restage", "--quiet"])
    changed = _changed_files(clone)
    names = [name for _, name in changed]
    keys_now = recorded_keys(clone, names)
    allowed = [keys_now, recorded_keys(clone, names, target)]
    removed = [name for status, name in changed if status == " D"]
    edited = [
        name
        for status, name in changed
        if status != " D" and not any(name in keys and _has_content(clone / name, keys[name]) for keys in allowed)
    ]
    if removed:
        _restore_removed(clone, removed)
    # An interrupted `git annex get` may also have stored a file without a note for `restage`. Git then takes it for
    # changed, because git compares sizes and not contents.
    complete = [
        name
        for status, name in changed
        if status == " M" and name in keys_now and _has_content(clone / name, keys_now[name])
    ]
    if complete:
        git(clone, ["update-index", "-z", "--stdin"], stdin="".join(f"{name}\0" for name in complete))
    if edited:
        more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        raise DatasetError(
            f"{clone} has local edits: {edited[0]}{more}. A clone belongs to the pipeline; save the edits in the "
            f"dataset itself and pin the new commit, or remove the file (`rm {clone / edited[0]}`) and fetch again."
        )


def _restore_removed(clone: Path, names: Sequence[str]) -> None:
    """Write removed files again as the commit records them.

    Objects of git-annex whose content is bad are dropped first: a locked file is a link to its object, so that an edit
    of the file was an edit of the object.
    """
    keys = sorted({key for key in recorded_keys(clone, names).values() if not key.startswith("GIT-")})
    places = _annex_batch(clone, ["contentlocation"], keys).splitlines()
    _annex_batch(
        clone,
        ["dropkey", "--force", "--quiet"],
        [key for key, place in zip(keys, places, strict=False) if place and not _has_content(clone / place, key)],
    )
    git(clone, ["checkout", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul"], stdin="\0".join(names))


def _annex_batch(clone: Path, words: Sequence[str], keys: Sequence[str]) -> str:
    """Run a git-annex command for many keys in one process; the answer has one line per key."""
    return git(clone, ["annex", *words, "--batch"], stdin="".join(f"{key}\n" for key in keys)) if keys else ""


def _changed_files(clone: Path) -> list[tuple[str, str]]:
    """Return (status of two letters, path) of every tracked file that git reports as changed."""
    answer = git(clone, ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no"])
    return [(entry[:2], entry[3:]) for entry in answer.split("\0") if entry]


def _has_content(file: Path, key: str) -> bool:
    """Tell whether a file holds the content of a key, or is a pointer or link to it."""
    if file.is_symlink():
        return annex_key_in(str(file.readlink()).encode(), is_link=True) == key
    if is_pointer(file):
        return annex_key_in(file.read_bytes(), is_link=False) == key
    try:
        verify(file, key)
    except DatasetError:
        return False
    return True
