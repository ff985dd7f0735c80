"""Special remotes: stores of content outside git (buckets, folders, programs) that a dataset can name.

A dataset can ask every clone to enable its special remotes (``autoenable``), and one of type ``external`` runs a
program of this machine that the dataset names. For safety none is enabled unless the registry names it with its type.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...base.errors import DatasetError
from .programs import call, condensed, git

#: File on the git-annex branch in which git-annex records the special remotes of a dataset.
_LOG = "refs/remotes/origin/git-annex:remote.log"
_STAMP = re.compile(r"timestamp=([0-9.]+)s?$")


@dataclass(frozen=True)
class SpecialRemote:
    """A special remote of a dataset.

    Attributes
    ----------
    name, uuid : how people and how git-annex name it; of another way to the store of a remote, the uuid of that store
    kind : its type, e.g. ``S3``, ``external:NAME``
    autoenable : whether the dataset asks every clone to enable it
    address : where it is, as far as the dataset says
    hosts : the hosts to which git-annex would send keys for it; empty where that is not known
    """

    name: str
    kind: str
    uuid: str
    autoenable: bool
    address: str = ""
    hosts: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return name and type, e.g. ``bucket (type S3)``."""
        return f"{self.name} (type {self.kind})"


def special_remotes(clone: Path) -> list[SpecialRemote]:
    """Return the special remotes of a dataset, sorted by name. This enables none of them."""
    answer = call(["git", "-C", str(clone), "cat-file", "blob", _LOG])
    if answer.returncode:  # a dataset without git-annex, or without special remotes
        return []
    newest: dict[str, tuple[float, dict[str, str]]] = {}
    for line in answer.stdout.decode(errors="replace").splitlines():
        uuid, *words = line.split(" ")
        stamp = _STAMP.search(line)
        when = float(stamp[1]) if stamp else 0.0
        values = dict(word.split("=", 1) for word in words if "=" in word)
        values["name"] = values.get("name") or values.get(
            "sameas-name", ""
        )  # another way to the store of another remote
        if uuid not in newest or when >= newest[uuid][0]:
            newest[uuid] = when, values
    found = [
        SpecialRemote(
            values["name"],
            _kind(values),
            values.get("sameas-uuid", uuid),
            values.get("autoenable") == "true",
            _address(values),
            _hosts(values),
        )
        for uuid, (_, values) in newest.items()
        if values["name"]
    ]
    return sorted(found, key=lambda remote: remote.name)


def _kind(values: Mapping[str, str]) -> str:
    """Return the type of a special remote, with the name of its program where it is external."""
    kind = values.get("type", "unknown")
    return f"external:{values.get('externaltype', 'unknown')}" if kind == "external" else kind


def _address(values: Mapping[str, str]) -> str:
    return next((values[key] for key in ("url", "publicurl", "host") if values.get(key)), "")


def _hosts(values: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts that get the keys of a bucket or of a WebDAV server; those of other types are not known."""
    if values.get("type") == "S3":
        return frozenset({values.get("host", "s3.amazonaws.com").lower()})
    if values.get("type") == "webdav":
        return frozenset({(urlsplit(values.get("url", "")).hostname or "").lower()})
    return frozenset()


def check_hosts(clone: Path, remotes: Iterable[SpecialRemote], allowed: Mapping[str, str], host: str) -> None:
    """Make sure that keys would reach ``host`` alone: the allowed special remotes must be there, whatever else is said.

    Raises
    ------
    DatasetError
        An allowed special remote is on another host, or of a type of which nobody knows where it sends keys.
    """
    for remote in remotes:
        if remote.name in allowed and remote.hosts != {host.lower()}:
            there = f"at {', '.join(sorted(remote.hosts))}" if remote.hosts else "at a host that is not known"
            raise DatasetError(
                f"the keys that the registry grants to {clone.name} are for {host} alone, and its special remote "
                f"{remote} is {there}: the keys were not used. Find out why the dataset names that host."
            )


def enable_only(clone: Path, allowed: Mapping[str, str], host: str | None = None) -> list[SpecialRemote]:
    """Enable the allowed special remotes (name -> kind) of a clone, disable all others, and return the list of all.

    ``host``: where keys are granted, the only host that they may reach.

    Git-annex is also told to use ``origin`` again: after one failed contact it ignores a remote for ever.

    Raises
    ------
    DatasetError
        The dataset has no special remote of an allowed name, has one of another kind or two of that name, or one cannot
        be enabled; or see :func:`check_hosts`.
    """
    known = special_remotes(clone)
    if host is not None:
        check_hosts(clone, known, allowed, host)
    for name, kind in allowed.items():
        if [remote.kind for remote in known if remote.name == name] != [kind]:
            raise DatasetError(
                f"the registry allows the special remote {name!r} of type {kind!r} for {clone.name}, but the dataset "
                f"has {', '.join(map(str, known)) or 'no special remote'}; find out why, then correct `remotes`."
            )
    ignored = "remote.origin.annex-ignore"
    if not call(["git", "-C", str(clone), "config", "--get", ignored]).returncode:
        git(clone, ["config", "--unset-all", ignored])
    enabled = set(git(clone, ["remote"]).split())
    for remote in known:
        if remote.name in allowed:
            if remote.name not in enabled:
                _enable(clone, remote)
            _mark_verified(clone, remote.name)
        elif remote.name in enabled and remote.name != "origin":
            git(
                clone, ["remote", "remove", remote.name]
            )  # `annex-ignore` does not do: `whereis` still runs its program
    return known


def _enable(clone: Path, remote: SpecialRemote) -> None:
    """Enable one special remote; the error says what a person can do when git-annex refuses."""
    answer = call(["git", "-C", str(clone), "annex", "enableremote", remote.name])
    forget_keys(clone)
    if answer.returncode:  # some need a value that the dataset does not record: a password, the folder of a `directory`
        raise DatasetError(
            f"special remote {remote} of {clone.name} cannot be enabled: "
            f"{condensed(answer.stderr.decode(errors='replace'))}; enable it by hand once, with the value "
            f"that is missing (`git -C {clone} annex enableremote {remote.name} NAME=VALUE`), and fetch again."
        )


def _mark_verified(clone: Path, name: str) -> None:
    """Tell git-annex that a person allowed this special remote; newer versions require that before they use it."""
    state = call(["git", "-C", str(clone), "config", "--get", f"remote.{name}.annex-verified"])
    if state.stdout.strip() == b"verified":
        return
    answer = call(["git", "-C", str(clone), "annex", "verifyremote", name])
    wanted = re.search(rb"--safe (\S+)", answer.stdout)
    if wanted:
        git(clone, ["annex", "verifyremote", name, "--safe", wanted[1].decode()])


def forget_keys(clone: Path) -> bool:
    """Delete the keys that git-annex wrote into a clone, in plain text; tell whether there were any."""
    folder = clone / ".git/annex/creds"
    held = folder.is_dir() and any(folder.iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    return held
