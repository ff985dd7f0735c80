"""Releases on GitHub and their assets: listed, downloaded within bounds, uploaded whole, drafted.

Tags are other people's text: one is looked up in the list of releases and is never part of an address.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any

from github import Auth, Github
from github.GitRelease import GitRelease
from github.PaginatedList import PaginatedList

from ...base.errors import CordriftError
from ...base.files import whole_file
from .access import Access, read_access
from .content import TIMEOUT_S, content
from .retry import ask, refuse_answer
from .upload import Upload, check_asset_name, stated_digest

#: GitHub takes assets of less than 2 GiB.
MOST_ASSET_BYTES = 2**31 - 1
_SHOWN = 10


@dataclass(frozen=True)
class Asset:
    """A file of a release: size in bytes, ``sha256:`` and 64 digits or ``""`` where GitHub does not say."""

    name: str
    size: int
    id: int
    digest: str


@dataclass(frozen=True)
class Release:
    """A release: time of publication in ISO 8601 UTC (``""`` for a draft), address of its page, whole assets only."""

    tag: str
    id: int
    title: str
    draft: bool
    prerelease: bool
    published: str
    body: str
    page: str
    assets: tuple[Asset, ...]

    def asset(self, name: str) -> Asset | None:
        """Return the asset of this name, if there is one."""
        return next((asset for asset in self.assets if asset.name == name), None)


def open_repository(environment: Mapping[str, str] = os.environ) -> Repository:
    """Return the repository that GITHUB_REPOSITORY names, with GITHUB_TOKEN at GITHUB_API_URL; sends no request.

    Without a token only public releases are read.

    Raises
    ------
    CordriftError
        A variable is missing or malformed.
    """
    return Repository(read_access(environment))


class Repository:
    """The releases of one repository. Every method raises CordriftError when GitHub refuses or cannot be reached."""

    def __init__(self, access: Access) -> None:
        self.name = access.repository
        self._access = access
        client = Github(
            auth=Auth.Token(access.token) if access.token else None,
            base_url=access.url,
            timeout=TIMEOUT_S,
            per_page=100,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            user_agent="cordrift",
            api_version="2022-11-28",
        )
        self._remote = client.get_repo(self.name, lazy=True)

    def releases(self) -> list[Release]:
        """Return all releases in order of publication, oldest first; drafts that the token may see come last."""
        found = ask(self._access, f"list the releases of {self.name}", lambda: [_release(one) for one in self._list()])
        unique = {release.id: release for release in found}  # one comes twice when another is published meanwhile
        return sorted(unique.values(), key=lambda release: (release.draft, release.published, release.id))

    def release(self, tag: str) -> Release:
        """Return the release of exactly this tag: the published one, else a draft that the token may see.

        Raises
        ------
        CordriftError
            There is none; the sentence names tags that there are.
        """
        releases = self.releases()
        for release in releases:
            if release.tag == tag:
                return release
        raise CordriftError(
            f"{self.name} has no release {tag!r}; there are {_some([repr(one.tag) for one in reversed(releases)])}."
        )

    def download(self, release: Release, name: str, target: Path, most_bytes: int) -> None:
        """Download an asset to ``target``, whole or not at all, and check its SHA-256 where GitHub states one.

        Raises
        ------
        CordriftError
            The release has no such asset; it is larger than ``most_bytes``, of another size than listed, or damaged.
        """
        check_asset_name(name)
        asset = release.asset(name)
        if asset is None:
            names = _some([one.name for one in release.assets])
            raise CordriftError(f"release {release.tag!r} of {self.name} has no asset {name}; there are {names}.")
        if asset.size > most_bytes:
            raise CordriftError(
                f"{name} of release {release.tag!r} has {asset.size} bytes; at most {most_bytes} are taken."
            )

        def attempt() -> None:
            digest = sha256()
            with whole_file(target) as part:
                with part.open("wb") as stream:
                    for block in content(self._access, asset.id, asset.size):
                        digest.update(block)
                        stream.write(block)
                if asset.digest and asset.digest != f"sha256:{digest.hexdigest()}":
                    raise CordriftError(
                        f"{name} of release {release.tag!r} came with SHA-256 {digest.hexdigest()}, GitHub states "
                        f"{asset.digest}; nothing is kept of it, run this again."
                    )

        ask(self._access, f"download {name} of release {release.tag!r}", attempt)

    def upload(self, release: Release, path: Path, name: str) -> str:
        """Upload a file as an asset; return ``uploaded``, ``replaced`` or ``same`` (it was there: nothing was sent).

        It goes up under a temporary name and is renamed at the end, so that no reader finds half of it. What an
        earlier, interrupted upload of this asset left is removed first.

        Raises
        ------
        CordriftError
            The name is not allowed; the file is missing, empty or over 2 GiB; GitHub stores other bytes than were sent.
        """
        check_asset_name(name)
        if not path.is_file():
            raise CordriftError(f"{path} is missing; it should be uploaded as {name} to release {release.tag!r}.")
        if not 0 < path.stat().st_size <= MOST_ASSET_BYTES:
            raise CordriftError(
                f"{path} has {path.stat().st_size} bytes; GitHub takes assets of 1 to {MOST_ASSET_BYTES} bytes."
            )
        upload = Upload(self._access, self._remote, release.id, path, name)
        return ask(self._access, f"upload {name} to release {release.tag!r}", upload.attempt)

    def draft(self, tag: str, *, title: str, body: str, commit: str) -> Release:
        """Create the draft release of a tag, or update the one there is; publishing it will tag ``commit``.

        Raises
        ------
        CordriftError
            The tag is empty, or its release is published already.
        """
        if not tag.strip():
            raise CordriftError("a draft release needs a tag, such as v1.2; it is empty.")

        def attempt() -> Release:
            found = [one for one in self._list() if one.tag_name == tag]
            if any(not one.draft for one in found):
                raise CordriftError(
                    f"release {tag!r} of {self.name} is published and stays as it is; draft the next version's tag."
                )
            if found:
                options: dict[str, Any] = {"draft": True, "prerelease": found[0].prerelease, "target_commitish": commit}
                return _release(found[0].update_release(title, body, **options))
            return _release(self._remote.create_git_release(tag, title, body, draft=True, target_commitish=commit))

        return ask(self._access, f"draft release {tag!r} of {self.name}", attempt)

    def _list(self) -> list[GitRelease]:
        def checked(release: Any) -> dict[str, Any]:
            if not isinstance(release, dict):
                raise refuse_answer(self._access)
            for asset in release.get("assets", []):
                asset.setdefault("digest", None)  # PyGithub asks once more for each that an older server leaves out
            return release

        url = f"{self._remote.url}/releases"
        return list(PaginatedList(GitRelease, self._remote.requester, url, attributesTransformer=checked))


def _release(remote: GitRelease) -> Release:
    assets = [asset for asset in remote.assets if asset.state == "uploaded"]
    published = remote.published_at
    return Release(
        tag=remote.tag_name,
        id=remote.id,
        title=remote.name or "",
        draft=remote.draft,
        prerelease=remote.prerelease,
        published="" if remote.draft or published is None else published.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        body=remote.body or "",
        page=remote.html_url,
        assets=tuple(Asset(one.name, one.size, one.id, stated_digest(one)) for one in assets),
    )


def _some(words: list[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more if words else "none"
