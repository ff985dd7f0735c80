"""Removing the data of a participant from a clone for good: the annex objects of all revisions and the working files.

The commit of the clone still names these files. A sparse checkout keeps them out of the folder, also at later commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.clones.objects import drop_objects, is_present, keys_of_blobs
from ...data.clones.programs import call, git
from .identity import id_pattern


@dataclass(frozen=True)
class Removed:
    """What was removed from one clone.

    Attributes
    ----------
    clone : the folder of the clone
    files : number of working files that were removed
    objects : number of annex objects that were removed
    shared : files of other participants whose content is the same; this content was kept
    in_git : number of versions of files that git itself stores; they stay in the history of the clone
    """

    clone: Path
    files: int
    objects: int
    shared: tuple[str, ...]
    in_git: int


def participants_in(paths: Iterable[str]) -> set[str]:
    """Return the ids of participants that occur in BIDS paths."""
    pattern = re.compile(r"(?:^|/)(sub-[A-Za-z0-9]+)(?=[/_.]|$)")
    return {found for path in paths for found in pattern.findall(path)}


def remove_participants(clone: Path, participants: Iterable[str]) -> Removed:
    """Remove all data of participants from a clone. It is no error when the data were removed before.

    Raises
    ------
    DatasetError
        git or git-annex fails. The same call continues where it stopped.
    """
    withdrawn = sorted(participants)
    pattern = id_pattern(withdrawn)
    files_of_others = {path: blob for path, blob in _head(clone).items() if not pattern.search(path)}
    blobs = _blobs_of_all_commits(clone, withdrawn)
    keys = keys_of_blobs(clone, {*blobs, *files_of_others.values()})
    in_use = {keys[blob]: path for path, blob in sorted(files_of_others.items(), reverse=True) if blob in keys}
    own = {keys[blob] for blob in blobs if blob in keys}
    shared = sorted(own & set(in_use))
    objects = [key for key in sorted(own - set(shared)) if is_present(clone, key)]
    drop_objects(clone, objects)
    for place in ("tmp", "bad"):  # unfinished downloads, and damaged content that `git annex fsck` put aside
        for key in own - set(shared):
            (clone / ".git/annex" / place / key).unlink(missing_ok=True)
    files = _remove_files(clone, pattern)
    _keep_out(clone, withdrawn)
    in_git = len([blob for blob in blobs if blob not in keys])
    return Removed(clone, files, len(objects), tuple(in_use[key] for key in shared), in_git)


def _head(clone: Path) -> dict[str, str]:
    """Return path -> blob of all files of the commit that is checked out."""
    entries = git(clone, ["ls-tree", "-r", "-z", "--full-tree", "HEAD"]).split("\0")
    split = (entry.split("\t", 1) for entry in entries if entry)
    return {path: head.split()[2] for head, path in split if head.split()[1] == "blob"}


def _blobs_of_all_commits(clone: Path, participants: Sequence[str]) -> set[str]:
    """Return the blobs that any commit of the clone has at a path of the participants, or has replaced there."""
    paths = [f":(glob)**/{sub}{end}" for sub in participants for end in ("", "/**", "_*", ".*")]
    log = ["log", "--all", "-m", "--no-renames", "--raw", "--no-abbrev", "--format=", "-z", "--", *paths]
    fields = [field for field in git(clone, log).split("\0") if field.lstrip().startswith(":")]
    blobs: set[str] = set()
    for field in fields:  # :<old mode> <new mode> <old blob> <new blob> <status>
        old_mode, new_mode, old, new, _ = field.lstrip().split()
        blobs |= {blob for mode, blob in ((old_mode[1:], old), (new_mode, new)) if mode[:2] in ("10", "12")}
    return blobs


def _remove_files(clone: Path, pattern: re.Pattern[str]) -> int:
    """Remove the files and folders whose path contains one of the ids, also files that git does not know."""
    files: list[Path] = []
    folders: list[Path] = []
    for path in sorted(clone.rglob("*")):
        inside = path.relative_to(clone)
        if inside.parts[0] != ".git" and pattern.search(inside.as_posix()):
            (folders if path.is_dir() and not path.is_symlink() else files).append(path)
    for path in files:
        path.unlink()
    for path in reversed(folders):
        path.rmdir()
    return len(files)


def _keep_out(clone: Path, participants: Sequence[str]) -> None:
    """Keep the paths of the participants out of the folder, now and at every later checkout."""
    known = git(clone, ["sparse-checkout", "list"]).splitlines() if _is_sparse(clone) else ["/*"]
    more = [pattern for sub in participants for pattern in (f"!{sub}", f"!{sub}_*", f"!{sub}.*")]
    patterns = [*known, *(pattern for pattern in more if pattern not in known)]
    if patterns != known:
        git(clone, ["sparse-checkout", "set", "--no-cone", *patterns], f"{clone} cannot leave out files")


def _is_sparse(clone: Path) -> bool:
    answer = call(["git", "-C", str(clone), "config", "--get", "core.sparseCheckout"])
    return answer.stdout.strip() == b"true"
