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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from stages.core.addresses import check_origin, source_of
from stages.core.children import call, condensed, datalad, datalad_results, git
from stages.core.errors import CordriftError
from stages.core.keys import git_key, parse_key, verify
from stages.core.special import SpecialRemote, switch
from stages.core.volumes import POINTER_BYTES, is_pointer
from stages.core.whereabouts import missing

__all__ = ["clone", "commit_of", "create", "get", "keys", "remove", "save", "tree", "verify"]

_NONE: Mapping[str, str] = MappingProxyType({})
_COMMIT = re.compile(r"[0-9a-f]{40}")
_POINTER = b"/annex/objects/"
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
        _check_edits(path)
        git(path, ["fetch", "--quiet", "--force", "--tags", "origin"], f"{url} cannot be reached")
    else:
        _fresh(url, path)
    try:
        git(path, ["cat-file", "-e", commit + "^{commit}"])
    except CordriftError as error:
        raise CordriftError(f"{url} has no commit {commit}; check the registry.") from error
    git(path, ["checkout", "--quiet", "--detach", commit])
    return switch(path, remotes)


def _fresh(url: str, path: Path) -> None:
    """Clone beside ``path`` and rename, so that a killed clone is never taken for one."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CordriftError(f"{path} is in the way of a clone of {url} and is not one; move it away.")
    part = path.with_name(f".part-{path.name}")
    remove(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not `datalad clone`: it switches on every special remote that the dataset asks for, and runs its program.
        git(None, ["clone", "--quiet", "--", source_of(url), str(part)], f"{url} cannot be cloned")
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


def _check_edits(path: Path) -> None:
    answer = git(path, ["status", "--porcelain", "-z", "--untracked-files=no"])
    entries = [(entry[:2], entry[3:]) for entry in answer.split("\0") if entry]
    removed = [name for status, name in entries if status == " D"]
    known = set(tree(path)) if entries else set()
    edited = [name for status, name in entries if status != " D" and not (name in known and _as_committed(path, name))]
    if removed:  # a file that someone removed, perhaps because its content was bad, comes back as the commit has it
        git(path, ["checkout", "--quiet", "--", *removed])
    if edited:
        more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        raise CordriftError(
            f"{path} has local edits: {edited[0]}{more}. A clone belongs to the pipeline; save the edits in the "
            f"dataset itself and pin the new commit, or remove the file (`rm {path / edited[0]}`) and fetch again."
        )


def _as_committed(path: Path, name: str) -> bool:
    """Tell whether a file that git calls modified holds what its commit says.

    Git cannot know: after content came or went behind its back (an interrupted `get`) it sees another file size.
    """
    key = keys(path, [name])[name][0]
    file = path / name
    if is_pointer(file):
        return _annex_key(file.read_bytes(), locked=False) == key
    try:
        verify(file, key)
    except CordriftError:
        return False
    return True


def tree(path: Path) -> list[str]:
    """List every path of the commit that is checked out, from git and not from the folder, sorted."""
    return sorted(entry.split("\t", 1)[1] for entry in _entries(path))


def _entries(path: Path) -> list[str]:
    return [entry for entry in git(path, ["ls-tree", "-r", "-z", "--full-tree", "HEAD"]).split("\0") if entry]


def keys(path: Path, files: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the content key and size (bytes) of each file, as the commit that is checked out records them.

    Raises
    ------
    CordriftError
        A file is not in that commit, or has a key that names no content hash.
    """
    entries = {name: head.split() for head, name in (entry.split("\t", 1) for entry in _entries(path))}
    found = {}
    wanted = sorted(set(files))
    for name in wanted:
        if name not in entries:
            raise CordriftError(f"{path} has no file {name} at its commit.")
    blobs = _blobs(path, [entries[name][2] for name in wanted])
    for name, blob in zip(wanted, blobs, strict=True):
        key = _annex_key(blob, locked=entries[name][0] == "120000") or git_key(blob)
        found[name] = (key, parse_key(key).size)
    return found


def _annex_key(blob: bytes, *, locked: bool) -> str:
    if locked:  # a link into .git/annex/objects; any other link is content of git's
        target = blob.decode(errors="replace")
        return target.rsplit("/", 1)[1] if "annex/objects/" in target else ""
    if blob.startswith(_POINTER) and len(blob) <= POINTER_BYTES:
        return blob.split(b"\n", 1)[0].decode(errors="replace").rsplit("/", 1)[1].strip()
    return ""


def _blobs(path: Path, hashes: Sequence[str]) -> list[bytes]:
    answer = call(["git", "-C", str(path), "cat-file", "--batch"], stdin="".join(f"{h}\n" for h in hashes).encode())
    data, at, blobs = answer.stdout, 0, []
    for _ in hashes:
        head = data.index(b"\n", at)
        size = int(data[at:head].split()[2])
        blobs.append(data[head + 1 : head + 1 + size])
        at = head + size + 2
    return blobs


def get(path: Path, files: Sequence[str], jobs: int = 1, arrived: Callable[[str], object] = str) -> dict[str, str]:
    """Fetch the content of files of a clone; what is there already is left alone.

    ``arrived`` is called with the path of each file as it comes. A file that cannot be had stops no other; returned
    are those that did not come, with DataLad's reason.
    """
    todo = missing(path, files)
    reasons: dict[str, str] = {}
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
        left = [name for name in batch if is_pointer(path / name)]
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
