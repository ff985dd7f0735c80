"""Create, save, clone and fetch datasets with DataLad and git-annex; no other room does.

DataLad runs as a command with JSON results, not through its Python API: search path, identity and verbosity are then
settings of a child process and do not change this one. ``annex.thin`` stays off in clones: with it the working file
*is* the object of git-annex, and after a truncation neither ``git checkout`` nor ``datalad get`` restores the content
(tried with git-annex 10.2026); without it ``git checkout`` does.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ...base.errors import DatasetError, SettingsError
from ...images.volumes import is_pointer
from ..datasets.keys import verify
from .addresses import check_origin, source_of
from .commits import keys_and_sizes, list_paths
from .edits import prepare_checkout
from .fetch_plan import missing
from .programs import condensed, datalad, datalad_results, git
from .special_remotes import SpecialRemote, enable_only

__all__ = [
    "clone",
    "commit_of",
    "create",
    "get",
    "keys_and_sizes",
    "list_paths",
    "missing",
    "publish",
    "remove",
    "save",
    "verify",
]

_NO_REMOTES: Mapping[str, str] = MappingProxyType({})
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: Files per `datalad get`: few enough for any command line, and so many that its start-up time (1 s) hardly counts.
_BATCH = 200


def create(path: Path) -> None:
    """Make the folder ``path`` an annex dataset, whose images become unlocked pointer files with SHA256E keys.

    Git itself keeps text files. The folder may hold files already; :func:`save` commits them.

    Raises
    ------
    DatasetError
        ``path`` is a dataset already, or DataLad fails.
    """
    if (path / ".git").exists():
        raise DatasetError(f"{path} is a dataset already; choose another folder or remove it.")
    path.mkdir(parents=True, exist_ok=True)
    datalad(["-c", "datalad.repo.backend=SHA256E", "create", "--force", "-c", "text2git", str(path)], f"create {path}")
    # Without this setting `save` writes locked links and not unlocked pointers.
    git(path, ["annex", "config", "--set", "annex.addunlocked", "true"])


def save(path: Path, message: str, tag: str | None = None) -> str:
    """Commit all files of the dataset at ``path`` and return the commit (40 hexadecimal digits).

    ``tag`` names the commit; None: it gets no tag.

    Raises
    ------
    DatasetError
        ``path`` is no dataset, the tag exists already, or DataLad fails.
    """
    if not (path / ".git").exists():
        raise DatasetError(f"{path} is not a dataset; create it first.")
    if tag is not None and git(path, ["tag", "--list", tag]).strip():
        raise DatasetError(f"{path} has a tag {tag!r} already, and a published tag never moves; choose another.")
    datalad(["save", "-d", str(path), "-m", message], f"save {path}")
    if tag is not None:
        git(path, ["-c", "tag.gpgSign=false", "tag", tag])
    return git(path, ["rev-parse", "HEAD"]).strip()


def publish(path: Path, branch: str, tag: str, files: Sequence[str]) -> None:
    """Give a branch of a clone to the dataset it was cloned from: the content of files, the branch, and a tag on it.

    A tag that is there already must be of the same commit, so that an interrupted command can be repeated.

    Raises
    ------
    DatasetError
        The dataset cannot be written, has moved the branch, or has another commit under the tag.
    """
    commit = git(path, ["rev-parse", branch]).strip()
    there = git(path, ["ls-remote", "origin", f"refs/tags/{tag}"], "the dataset cannot be reached").split()
    if there and there[0] != commit:
        raise DatasetError(f"the dataset has a tag {tag!r} of another commit ({there[0][:12]}); choose another --tag.")
    why = "the dataset cannot be written: ask its owner for the right to push, or push from the clone"
    git(path, ["annex", "copy", "--quiet", "--to", "origin", "--", *files], f"{path}: {why}")
    git(
        path,
        ["push", "--quiet", "origin", f"{branch}:refs/heads/{branch}", f"{commit}:refs/tags/{tag}"],
        f"{path}: {why}",
    )


def commit_of(url: str, tag: str) -> str:
    """Return the commit (40 hexadecimal digits) to which a tag of the dataset at ``url`` points.

    Raises
    ------
    SettingsError
        The address is refused.
    DatasetError
        The address cannot be reached, or there is no such tag.
    """
    source = source_of(url)
    wanted = f"refs/tags/{tag}"
    answer = git(None, ["ls-remote", "--", source, wanted, wanted + "^{}"], f"{url} cannot be reached")
    found = {name: sha for sha, name in (line.split("\t") for line in answer.splitlines())}
    commit = found.get(wanted + "^{}", found.get(wanted))  # an annotated tag has a second line with its commit
    if commit is None:
        raise DatasetError(f"{url} has no tag {tag!r}; look with `git ls-remote --tags {url}`.")
    return commit


def clone(
    url: str,
    path: Path,
    commit: str,
    tag: str,
    remotes: Mapping[str, str] = _NO_REMOTES,
    host: str | None = None,
) -> list[SpecialRemote]:
    """Clone the dataset at ``url`` to ``path`` without content, or update the clone there, and check ``commit`` out.

    Content that the clone has already is kept.

    Parameters
    ----------
    url : path (relative to the working directory) or address (https, ssh, file)
    path : folder of the clone; a clone that fails leaves nothing there
    commit : 40 hexadecimal digits
    tag : name that must still point to ``commit``
    remotes : special remotes that may be enabled, name -> kind; all others are disabled
    host : where keys are granted, the only host that they may reach

    Returns
    -------
    All special remotes of the dataset.

    Raises
    ------
    SettingsError
        The address is refused, or ``commit`` is no commit.
    DatasetError
        The address cannot be reached, the tag is missing or was moved, something else is at ``path``, a file of the
        clone was edited, or a special remote is not as ``remotes`` says.
    """
    if not _COMMIT.fullmatch(commit):
        raise SettingsError(f"commit of {url} must be 40 hexadecimal digits, not {commit!r}.")
    tagged = commit_of(url, tag)
    if tagged != commit:
        raise DatasetError(
            f"tag {tag!r} of {url} no longer points to the pinned commit {commit[:12]} but to {tagged[:12]}: the "
            "dataset was changed under its name. Find out why, then pin the new commit in the registry."
        )
    if (path / ".git").exists():
        check_origin(url, path)
        git(path, ["fetch", "--quiet", "--force", "--tags", "origin"], f"{url} cannot be reached")
        prepare_checkout(path, commit)
        if git(path, ["rev-parse", "HEAD"]).strip() != commit:
            # With force, because an interrupted checkout may have left some of these files. Edits were refused above.
            git(path, ["checkout", "--quiet", "--force", "--detach", commit])
    else:
        _clone_new(url, path, commit)
    return enable_only(path, remotes, host)


def _clone_new(url: str, path: Path, commit: str) -> None:
    """Clone into a folder beside ``path`` and rename it, so that an interrupted clone is not taken for a whole one."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DatasetError(f"{path} is in the way: a clone of {url} belongs there; move what is there away.")
    part = path.with_name(f".part-{path.name}")
    remove(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not `datalad clone`: it enables every special remote that asks for it, and thereby runs its program.
        words = ["clone", "--quiet", "--no-checkout", "--origin", "origin", "--", source_of(url), str(part)]
        git(None, words, f"{url} cannot be cloned")
        # Before `git annex init`: afterwards git would ask git-annex about each of thousands of pointers, in vain.
        git(part, ["checkout", "--quiet", "--force", "--detach", commit])
        git(
            part,
            ["annex", "init", "--quiet", "--no-autoenable", "cordrift"],
            f"{url} cannot be made a clone of git-annex",
        )
        if Path(url).is_dir() and not Path(url).is_absolute():
            # A relative address stays valid when dataset and clone are moved together.
            git(part, ["remote", "set-url", "origin", os.path.relpath(url, path)])
        remove(path)
        part.replace(path)
    finally:
        remove(part)


def get(
    path: Path,
    files: Sequence[str],
    jobs: int = 1,
    arrived: Callable[[str], object] = str,
    without: Iterable[str] = (),
) -> dict[str, str]:
    """Download the content of files that a clone lacks; a file that fails does not stop the others.

    Parameters
    ----------
    path : clone
    files : paths inside the clone
    jobs : number of parallel transfers
    arrived : called with the path of each file after its download
    without : remotes that are not asked

    Returns
    -------
    Path of each file without content -> the reason that DataLad gave.
    """
    todo = missing(path, files)
    options = [word for remote in without for word in ("-c", f"remote.{remote}.annex-ignore=true")]
    reasons: dict[str, str] = {}
    if todo:
        # This removes the records of interrupted transfers. Otherwise each transfer removes them, and of two at a time
        # one can remove the lock that the other just opened ("transfer already in progress").
        git(path, ["annex", "info", "--fast"])
    for start in range(0, len(todo), _BATCH):
        batch = todo[start : start + _BATCH]
        for result in datalad_results(
            [*options, "get", "-d", str(path), "-J", str(jobs), "--", *(str(path / n) for n in batch)]
        ):
            name = _inside(path, str(result.get("path") or path))
            if result.get("status") == "ok":
                arrived(name)
            elif result.get("status") in ("error", "impossible"):
                reasons[name] = condensed(
                    str(result.get("message") or result.get("error_message") or "no reason given")
                )
        # Git-annex leaves a pointer where it has the object and believes that the file has the content. Git mends that.
        left = [name for name in batch if name not in reasons and is_pointer(path / name)]
        for name in left:
            (path / name).unlink()
        if left:
            git(path, ["checkout", "--quiet", "--", *left])
    return {name: reasons.get(name, "no reason given") for name in missing(path, todo)}


def _inside(path: Path, file: str) -> str:
    """Return the path of a file relative to the clone; where the file is a link, the link is not followed."""
    return os.path.relpath(Path(file).parent.resolve() / Path(file).name, path.resolve())


def remove(path: Path) -> None:
    """Remove a dataset or clone: its objects are write-protected, so that ``shutil.rmtree`` alone would fail."""
    if not path.exists():
        return
    for folder in [path, *(entry for entry in path.rglob("*") if entry.is_dir() and not entry.is_symlink())]:
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(path)
