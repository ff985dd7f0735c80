"""The one door to DataLad and git-annex: datasets are created, saved, cloned and fetched here and nowhere else.

DataLad runs as a command with JSON results, not through its Python API: search path, identity and quietness
are then settings of one child process and never of the caller's. ``annex.thin`` stays off in clones: with it the
working file *is* the annex object, and after a truncation neither ``git checkout`` nor ``datalad get`` brings the
content back (tried with git-annex 10.2026); without it ``git checkout`` does.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ...base.errors import CordriftError
from ...images.volumes import is_pointer
from ..datasets.keys import verify
from .addresses import check_origin, source_of
from .commits import keys, tree
from .edits import settle
from .programs import condensed, datalad, datalad_results, git
from .special_remotes import SpecialRemote, switch
from .whereabouts import missing

__all__ = ["clone", "commit_of", "create", "get", "keys", "missing", "remove", "save", "tree", "verify"]

_NONE: Mapping[str, str] = MappingProxyType({})
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: Files per `datalad get`: few enough for any command line, many enough that its start-up (1 s) does not count.
_BATCH = 200


def create(path: Path) -> None:
    """Make an annex dataset of ``path`` whose images will be unlocked pointer files under SHA256E keys.

    Text stays in git. A folder with files in it becomes a dataset; :func:`save` then takes the files in.

    Raises
    ------
    CordriftError
        ``path`` is a dataset already, or DataLad fails.
    """
    if (path / ".git").exists():
        raise CordriftError(f"{path} is a dataset already; choose another folder or remove it.")
    path.mkdir(parents=True, exist_ok=True)
    datalad(["-c", "datalad.repo.backend=SHA256E", "create", "--force", "-c", "text2git", str(path)], f"create {path}")
    # text2git and .gitattributes alone give locked links: only this makes `save` write unlocked pointers.
    git(path, ["annex", "config", "--set", "annex.addunlocked", "true"])


def save(path: Path, message: str, tag: str | None = None) -> str:
    """Commit everything in the dataset at ``path``, tag it when asked, and return the commit (40 hex digits).

    Raises
    ------
    CordriftError
        ``path`` is no dataset, the tag exists already, or DataLad fails.
    """
    if not (path / ".git").exists():
        raise CordriftError(f"{path} is not a dataset; create it first.")
    if tag is not None and git(path, ["tag", "--list", tag]).strip():
        raise CordriftError(f"{path} has a tag {tag!r} already, and a published tag never moves; choose another.")
    datalad(["save", "-d", str(path), "-m", message], f"save {path}")
    if tag is not None:
        git(path, ["-c", "tag.gpgSign=false", "tag", tag])
    return git(path, ["rev-parse", "HEAD"]).strip()


def commit_of(url: str, tag: str) -> str:
    """Ask the dataset at ``url`` which commit its tag points to.

    Raises
    ------
    CordriftError
        The address is refused or unreachable, or there is no such tag.
    """
    source = source_of(url)
    wanted = f"refs/tags/{tag}"
    answer = git(None, ["ls-remote", "--", source, wanted, wanted + "^{}"], f"{url} cannot be reached")
    found = {name: sha for sha, name in (line.split("\t") for line in answer.splitlines())}
    commit = found.get(wanted + "^{}", found.get(wanted))  # an annotated tag is followed to its commit
    if commit is None:
        raise CordriftError(f"{url} has no tag {tag!r}; look with `git ls-remote --tags {url}`.")
    return commit


def clone(url: str, path: Path, commit: str, tag: str, remotes: Mapping[str, str] = _NONE) -> list[SpecialRemote]:
    """Bring the dataset at ``url`` to ``path``, at ``commit``; content that is there already stays.

    Parameters
    ----------
    url : path (relative to the working directory) or address (https, ssh, file)
    path : folder of the clone; made whole or not at all
    commit : 40 hexadecimal digits
    tag : name that must still point to ``commit``
    remotes : special remotes that may be switched on, name -> kind; no other is

    Returns
    -------
    Every special remote that the dataset knows.

    Raises
    ------
    CordriftError
        Refused or unreachable address, unknown commit, missing or moved tag, a clone of something else in the
        way, local edits in the clone, a special remote that is not as expected.
    """
    if not _COMMIT.fullmatch(commit):
        raise CordriftError(f"commit of {url} must be 40 hexadecimal digits, not {commit!r}.")
    there = commit_of(url, tag)
    if there != commit:
        raise CordriftError(
            f"tag {tag!r} of {url} no longer points to the pinned commit {commit[:12]} but to {there[:12]}: the "
            "dataset was changed under its name. Find out why, then pin the new commit in the registry."
        )
    if (path / ".git").exists():
        check_origin(url, path)
        git(path, ["fetch", "--quiet", "--force", "--tags", "origin"], f"{url} cannot be reached")
        settle(path, commit)
        if git(path, ["rev-parse", "HEAD"]).strip() != commit:
            # By force: half of these files may be there, from a checkout that was killed. Edits were refused above.
            git(path, ["checkout", "--quiet", "--force", "--detach", commit])
    else:
        _fresh(url, path, commit)
    return switch(path, remotes)


def _fresh(url: str, path: Path, commit: str) -> None:
    """Clone beside ``path`` and rename, so that a killed clone is never taken for one."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CordriftError(f"{path} is in the way of a clone of {url} and is not one; move it away.")
    part = path.with_name(f".part-{path.name}")
    remove(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not `datalad clone`: it switches on every special remote that the dataset asks for, and runs its program.
        words = ["clone", "--quiet", "--no-checkout", "--origin", "origin", "--", source_of(url), str(part)]
        git(None, words, f"{url} cannot be cloned")
        # Before git-annex is there: git would ask it for each of thousands of pointers, and it has no content yet.
        git(part, ["checkout", "--quiet", "--force", "--detach", commit])
        git(
            part,
            ["annex", "init", "--quiet", "--no-autoenable", "cordrift"],
            f"{url} cannot be made a clone of git-annex",
        )
        if Path(url).is_dir() and not Path(url).is_absolute():
            # A relative origin for a relative path: it survives a move of both.
            git(part, ["remote", "set-url", "origin", os.path.relpath(url, path)])
        remove(path)
        part.replace(path)
    finally:
        remove(part)


def get(path: Path, files: Sequence[str], jobs: int = 1, arrived: Callable[[str], object] = str) -> dict[str, str]:
    """Fetch the content of files of a clone; what is there already is left alone.

    ``arrived`` is called with the path of each file as it comes. A file that cannot be had stops no other; returned
    are those that did not come, with DataLad's reason.
    """
    todo = missing(path, files)
    reasons: dict[str, str] = {}
    if todo:
        # Clears what transfers that were killed left, which git-annex does by the way of every transfer, and of two at
        # a time one removes the lock that the other opens: "transfer already in progress". Transfers that run stay.
        git(path, ["annex", "info", "--fast"])
    for start in range(0, len(todo), _BATCH):
        batch = todo[start : start + _BATCH]
        for result in datalad_results(["get", "-d", str(path), "-J", str(jobs), "--", *(str(path / n) for n in batch)]):
            name = _inside(path, str(result.get("path") or path))
            if result.get("status") == "ok":
                arrived(name)
            elif result.get("status") in ("error", "impossible"):
                reasons[name] = condensed(
                    str(result.get("message") or result.get("error_message") or "no reason given")
                )
        # git-annex leaves a pointer when it has the object but thinks the file filled; git writes the file anew.
        left = [name for name in batch if name not in reasons and is_pointer(path / name)]
        for name in left:
            (path / name).unlink()
        if left:
            git(path, ["checkout", "--quiet", "--", *left])
    return {name: reasons.get(name, "no reason given") for name in missing(path, todo)}


def _inside(path: Path, file: str) -> str:
    """Path of a file in the clone; the file itself may be a link, and is not followed."""
    return os.path.relpath(Path(file).parent.resolve() / Path(file).name, path.resolve())


def remove(path: Path) -> None:
    """Remove a folder in which git-annex has write-protected its objects."""
    if not path.exists():
        return
    for folder in [path, *(entry for entry in path.rglob("*") if entry.is_dir() and not entry.is_symlink())]:
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(path)
