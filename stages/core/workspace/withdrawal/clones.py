"""Taking a participant's content out of a clone: annex objects of every revision, working files, for good.

The clone's commit still names the files: a sparse checkout keeps them out of the folder, also at later commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import CordriftError
from ...data.clones.programs import call, git
from .identity import token


@dataclass(frozen=True)
class Removed:
    """What was taken out of one clone.

    Attributes
    ----------
    clone : its folder
    files : working files removed
    objects : annex objects removed
    shared : objects kept because a file of somebody else has the same content, by that file
    in_git : files that git itself keeps: they are gone from the folder, not from the clone's history
    """

    clone: Path
    files: int
    objects: int
    shared: tuple[str, ...]
    in_git: int


def participants_in(paths: Iterable[str]) -> set[str]:
    """Return the ids that a list of BIDS paths names."""
    pattern = re.compile(r"(?:^|/)(sub-[A-Za-z0-9]+)(?=[/_.]|$)")
    return {found for path in paths for found in pattern.findall(path)}


def take_out(clone: Path, participants: Iterable[str]) -> Removed:
    """Remove all content of participants from a clone; what is gone already is no error.

    Raises
    ------
    CordriftError
        git or git-annex fails; the same call goes on where it stopped.
    """
    wanted = sorted(participants)
    named = token(wanted)
    head = {path: blob for path, blob in _head(clone).items() if not named.search(path)}
    theirs = _blobs_ever(clone, wanted)
    keys = _keys(clone, {*theirs, *head.values()})
    users = {keys[blob]: path for path, blob in sorted(head.items(), reverse=True) if blob in keys}
    own = {keys[blob] for blob in theirs if blob in keys}
    shared = sorted(own & set(users))
    objects = [key for key in sorted(own - set(shared)) if _contentlocation(clone, key)]
    if objects:
        _annex(clone, ["dropkey", "--force", "--batch"], objects)
    for place in ("tmp", "bad"):  # half downloads, and what an fsck put aside
        for key in own - set(shared):
            (clone / ".git/annex" / place / key).unlink(missing_ok=True)
    files = _unlink(clone, named)
    _keep_out(clone, wanted)
    in_git = len([blob for blob in theirs if blob not in keys])
    return Removed(clone, files, len(objects), tuple(users[key] for key in shared), in_git)


def _head(clone: Path) -> dict[str, str]:
    """Path -> blob of the commit that is checked out."""
    entries = git(clone, ["ls-tree", "-r", "-z", "--full-tree", "HEAD"]).split("\0")
    split = (entry.split("\t", 1) for entry in entries if entry)
    return {path: head.split()[2] for head, path in split if head.split()[1] == "blob"}


def _blobs_ever(clone: Path, participants: Sequence[str]) -> set[str]:
    """Blobs that any commit of the clone has, or had, at a path of the participants."""
    paths = [f":(glob)**/{sub}{end}" for sub in participants for end in ("", "/**", "_*", ".*")]
    log = ["log", "--all", "-m", "--no-renames", "--raw", "--no-abbrev", "--format=", "-z", "--", *paths]
    fields = [field for field in git(clone, log).split("\0") if field.lstrip().startswith(":")]
    blobs: set[str] = set()
    for field in fields:  # :<old mode> <new mode> <old blob> <new blob> <status>
        old_mode, new_mode, old, new, _ = field.lstrip().split()
        blobs |= {blob for mode, blob in ((old_mode[1:], old), (new_mode, new)) if mode[:2] in ("10", "12")}
    return blobs


def _keys(clone: Path, blobs: Iterable[str]) -> dict[str, str]:
    """Blob -> annex key, for those that are pointers or links to annexed content."""
    asked = sorted(blobs)
    answer = _annex(clone, ["lookupkey", "--ref", "--batch"], asked).splitlines()
    if len(answer) != len(asked):
        raise CordriftError(f"git-annex answered {len(answer)} of {len(asked)} questions about keys in {clone}.")
    return {blob: key for blob, key in zip(asked, answer, strict=True) if key}


def _contentlocation(clone: Path, key: str) -> bool:
    return call(["git", "-C", str(clone), "annex", "contentlocation", key]).returncode == 0


def _annex(clone: Path, words: Sequence[str], stdin: Sequence[str]) -> str:
    done = call(["git", "-C", str(clone), "annex", *words], stdin="".join(f"{line}\n" for line in stdin).encode())
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise CordriftError(f"`git annex {words[0]}` failed in {clone}: {why[-1].rstrip('.')}.")
    return done.stdout.decode(errors="surrogateescape")


def _unlink(clone: Path, named: re.Pattern[str]) -> int:
    """Remove the working files that a participant's id names, whatever git says of them, and folders left empty."""
    files: list[Path] = []
    folders: list[Path] = []
    for path in sorted(clone.rglob("*")):
        inside = path.relative_to(clone)
        if inside.parts[0] != ".git" and named.search(inside.as_posix()):
            (folders if path.is_dir() and not path.is_symlink() else files).append(path)
    for path in files:
        path.unlink()
    for path in reversed(folders):
        path.rmdir()
    return len(files)


def _keep_out(clone: Path, participants: Sequence[str]) -> None:
    """Keep their paths out of the folder, now and at every later checkout."""
    known = git(clone, ["sparse-checkout", "list"]).splitlines() if _is_sparse(clone) else ["/*"]
    more = [pattern for sub in participants for pattern in (f"!{sub}", f"!{sub}_*", f"!{sub}.*")]
    patterns = [*known, *(pattern for pattern in more if pattern not in known)]
    if patterns != known:
        git(clone, ["sparse-checkout", "set", "--no-cone", *patterns], f"{clone} cannot leave out files")


def _is_sparse(clone: Path) -> bool:
    answer = call(["git", "-C", str(clone), "config", "--get", "core.sparseCheckout"])
    return answer.stdout.strip() == b"true"
