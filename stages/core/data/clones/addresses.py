"""Addresses of datasets: which are followed at all, and whether a clone is one of this address."""

from __future__ import annotations

import re
from pathlib import Path

from ...base.errors import CordriftError
from .programs import git

_REMOTE = re.compile(r"(?:https|ssh|file)://(?!-)(?:(?P<user>[^\s/@]*)@)?(?!-)[^\s@/]*(?:/\S*)?")
_SCP = re.compile(r"[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:(?!:)[^\s:]+")


def source_of(url: str) -> str:
    """Check an address and return it for git; a path becomes absolute.

    Raises
    ------
    CordriftError
        No path, https, ssh, file or user@host address, one with a password; or a path that leads to no dataset.
    """
    remote = _REMOTE.fullmatch(url)
    if remote and remote["user"] and (url.startswith("https:") or ":" in remote["user"]):
        raise CordriftError(
            f"address {url.replace(remote['user'], '***', 1)!r} is refused: it holds a password or token, which the "
            "registry and every manifest would show; give it to git's credential helper instead."
        )
    if remote or _SCP.fullmatch(url):
        return url
    if url.startswith("-") or "::" in url or "://" in url:
        raise CordriftError(
            f"address {url!r} is refused: expected a path, https://, ssh://, file:// or user@host:folder."
        )
    folder = Path(url).expanduser()
    if not folder.is_dir():
        raise CordriftError(f"{url} does not exist or is no folder (looked in {Path.cwd()}).")
    if not (folder / ".git").exists() and not (folder / "HEAD").is_file():
        raise CordriftError(f"{url} is a plain folder, not a dataset; make one of it with DataLad first.")
    return str(folder.resolve())


def check_origin(url: str, path: Path) -> None:
    """Make sure that the clone at ``path`` is one of ``url``; a source that was moved is followed."""
    wanted = source_of(url)
    origin = git(path, ["config", "--get", "remote.origin.url"]).strip()
    if origin == wanted:
        return
    if Path(wanted).is_dir():
        # DataLad writes a relative origin for a relative path: a checkout that is moved as a whole stays valid.
        if (path / origin).resolve() == Path(wanted):
            return
        if Path(origin).is_absolute() and not Path(origin).exists():
            git(path, ["remote", "set-url", "origin", wanted])  # the source was moved; the commit is pinned anyway
            return
    raise CordriftError(
        f"{path} is a clone of {origin}, not of {url}; remove it (`chmod -R u+w {path}; rm -rf {path}`) and try again."
    )
