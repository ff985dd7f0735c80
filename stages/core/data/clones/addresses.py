"""Addresses of datasets: which kinds are allowed, and whether a clone belongs to an address."""

from __future__ import annotations

import re
from pathlib import Path

from ...base.errors import DatasetError, SettingsError
from .programs import git

_REMOTE = re.compile(r"(?:https|ssh|file)://(?!-)(?:(?P<user>[^\s/@]*)@)?(?!-)[^\s@/]*(?:/\S*)?")
_SCP = re.compile(r"[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:(?!:)[^\s:]+")


def source_of(url: str) -> str:
    """Check the address of a dataset and return it in the form that git needs: a path becomes absolute.

    Raises
    ------
    SettingsError
        The address is of another kind than path, https, ssh, file or user@host:folder, or it contains a password.
    DatasetError
        The path leads to no dataset.
    """
    remote = _REMOTE.fullmatch(url)
    if remote and remote["user"] and (url.startswith("https:") or ":" in remote["user"]):
        raise SettingsError(
            f"address {url.replace(remote['user'], '***', 1)!r} is refused: it holds a password or token, which the "
            "registry and every manifest would show; give it to git's credential helper instead."
        )
    if remote or _SCP.fullmatch(url):
        return url
    if url.startswith("-") or "::" in url or "://" in url:
        raise SettingsError(
            f"address {url!r} is refused: expected a path, https://, ssh://, file:// or user@host:folder."
        )
    folder = Path(url).expanduser()
    if not folder.is_dir():
        raise DatasetError(f"{url} does not exist or is no folder (looked in {Path.cwd()}).")
    if not (folder / ".git").exists() and not (folder / "HEAD").is_file():
        raise DatasetError(f"{url} is a plain folder, not a dataset; make it a dataset with DataLad first.")
    return str(folder.resolve())


def check_origin(url: str, path: Path) -> None:
    """Make sure that the clone at ``path`` is a clone of ``url``.

    Where the dataset was moved to ``url``, the clone gets the new address.

    Raises
    ------
    DatasetError
        It is a clone of another dataset.
    """
    wanted = source_of(url)
    # Asked for first, because git tells only here why a folder is no repository, or one that it does not trust.
    git(path, ["rev-parse", "--git-dir"], f"{path} cannot be used as a clone of {url}")
    origin = git(path, ["config", "--get", "remote.origin.url"], f"{path} has no address of its origin").strip()
    if origin == wanted:
        return
    if Path(wanted).is_dir():
        # The clone may have a relative address, which stays valid when dataset and clone are moved together.
        if (path / origin).resolve() == Path(wanted):
            return
        if Path(origin).is_absolute() and not Path(origin).exists():
            git(
                path, ["remote", "set-url", "origin", wanted]
            )  # a dataset was moved; the pinned commit proves that it is the same
            return
    raise DatasetError(
        f"{path} is a clone of {origin}, not of {url}; remove it (`chmod -R u+w {path}; rm -rf {path}`) and try again."
    )
