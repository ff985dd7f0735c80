"""Special remotes: places beside git (buckets, folders, programs) from which a dataset's content may come.

A dataset can ask that its special remotes be switched on in every clone (``autoenable``), and one of type ``external``
runs a program of this machine that the dataset names. So none is switched on unless the registry names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import CordriftError
from .programs import call, condensed, git

#: Where git-annex keeps what it knows of special remotes, in a clone of a dataset.
_LOG = "refs/remotes/origin/git-annex:remote.log"
_STAMP = re.compile(r"timestamp=([0-9.]+)s?$")


@dataclass(frozen=True)
class SpecialRemote:
    """A special remote of a dataset: name, kind (``S3``, ``external:NAME``), whether it wants to be on in clones."""

    name: str
    kind: str
    uuid: str
    autoenable: bool

    def __str__(self) -> str:
        """Name and type, for a sentence."""
        return f"{self.name} (type {self.kind})"


def special_remotes(clone: Path) -> list[SpecialRemote]:
    """List the special remotes of a dataset, by name; nothing is switched on by asking."""
    answer = call(["git", "-C", str(clone), "cat-file", "blob", _LOG])
    if answer.returncode:  # a dataset without git-annex, or without special remotes
        return []
    newest: dict[str, tuple[float, dict[str, str]]] = {}
    for line in answer.stdout.decode(errors="replace").splitlines():
        uuid, *words = line.split(" ")
        stamp = _STAMP.search(line)
        when = float(stamp[1]) if stamp else 0.0
        values = dict(word.split("=", 1) for word in words if "=" in word)
        values["name"] = values.get("name") or values.get("sameas-name", "")  # two doors to one place
        if uuid not in newest or when >= newest[uuid][0]:
            newest[uuid] = when, values
    found = [
        SpecialRemote(values["name"], _kind(values), uuid, values.get("autoenable") == "true")
        for uuid, (_, values) in newest.items()
        if values["name"]
    ]
    return sorted(found, key=lambda remote: remote.name)


def _kind(values: Mapping[str, str]) -> str:
    kind = values.get("type", "unknown")
    return f"external:{values.get('externaltype', 'unknown')}" if kind == "external" else kind


def switch(clone: Path, allowed: Mapping[str, str]) -> list[SpecialRemote]:
    """Switch the allowed special remotes (name -> kind) on in a clone and all others off; returns the list of all.

    Also lets git-annex ask ``origin`` again: after one failed contact it ignores a remote for ever.

    Raises
    ------
    CordriftError
        An allowed name that the dataset does not know or that is of another kind there, or a special remote that
        cannot be switched on.
    """
    known = special_remotes(clone)
    for name, kind in allowed.items():
        if [remote.kind for remote in known if remote.name == name] != [kind]:  # nor a second one of that name
            raise CordriftError(
                f"the registry allows the special remote {name!r} of type {kind!r} for {clone.name}, but the dataset "
                f"has {', '.join(map(str, known)) or 'no special remote'}; find out why, then correct `remotes`."
            )
    ignored = "remote.origin.annex-ignore"
    if not call(["git", "-C", str(clone), "config", "--get", ignored]).returncode:
        git(clone, ["config", "--unset-all", ignored])
    on = set(git(clone, ["remote"]).split())
    for remote in known:
        if remote.name in allowed:
            if remote.name not in on:
                _enable(clone, remote)
            _vouch(clone, remote.name)
        elif remote.name in on and remote.name != "origin":
            git(clone, ["remote", "remove", remote.name])  # annex-ignore is not enough: `whereis` runs its program
    return known


def _enable(clone: Path, remote: SpecialRemote) -> None:
    answer = call(["git", "-C", str(clone), "annex", "enableremote", remote.name])
    if answer.returncode:  # some need what is not in the dataset: the folder of a `directory`, a password
        raise CordriftError(
            f"special remote {remote} of {clone.name} cannot be switched on: "
            f"{condensed(answer.stderr.decode(errors='replace'))}; do it by hand once, with what is asked for "
            f"(`git -C {clone} annex enableremote {remote.name} NAME=VALUE`), and fetch again."
        )


def _vouch(clone: Path, name: str) -> None:
    """Tell git-annex that a person has agreed: newer versions use no special remote of a clone before that."""
    state = call(["git", "-C", str(clone), "config", "--get", f"remote.{name}.annex-verified"])
    if state.stdout.strip() == b"verified":
        return
    answer = call(["git", "-C", str(clone), "annex", "verifyremote", name])
    wanted = re.search(rb"--safe (\S+)", answer.stdout)
    if wanted:
        git(clone, ["annex", "verifyremote", name, "--safe", wanted[1].decode()])
