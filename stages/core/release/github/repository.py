"""Releases on GitHub and their assets: list them, download within bounds, upload whole files, write drafts.

Other people choose the tags: a tag is looked up in the list of releases and is never part of an address.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...base.errors import ReleaseError
from ...base.files import whole_file
from .access import Access, read_access
from .api import Api, Release
from .retry import ask
from .upload import Upload, check_asset_name

#: GitHub takes assets of less than 2 GiB.
MOST_ASSET_BYTES = 2**31 - 1
_SHOWN = 10


def open_repository(environment: Mapping[str, str] = os.environ) -> Repository:
    """Return the repository that GITHUB_REPOSITORY names, with GITHUB_TOKEN at GITHUB_API_URL; sends no request.

    Without a token only public releases can be read.

    Raises
    ------
    ReleaseError
        A variable is missing or malformed.
    """
    return Repository(read_access(environment))


class Repository:
    """The releases of one repository. Every method raises ReleaseError when GitHub refuses or cannot be reached.

    Attributes
    ----------
    name : owner/name
    page : address of its web page
    """

    def __init__(self, access: Access) -> None:
        self.name = access.repository
        self.page = f"{access.server}/{access.repository}"
        self._access = access
        self._api = Api(access)

    def releases(self) -> list[Release]:
        """Return all releases in order of publication, oldest first; drafts that the token may see come last."""
        listed = ask(self._access, f"list the releases of {self.name}", self._api.releases)
        # A release is listed twice when another one is published between two pages of the list.
        unique = {release.id: release for release in listed}
        return sorted(unique.values(), key=lambda release: (release.draft, release.published, release.id))

    def release(self, tag: str) -> Release:
        """Return the release of exactly this tag: the published one, else a draft that the token may see.

        Raises
        ------
        ReleaseError
            There is no such release; the message names the tags that exist.
        """
        releases = self.releases()
        for release in releases:
            if release.tag == tag:
                return release
        raise ReleaseError(
            f"{self.name} has no release {tag!r}; there are {_some([repr(one.tag) for one in reversed(releases)])}."
        )

    def download(self, release: Release, name: str, target: Path, most_bytes: int) -> None:
        """Download an asset to ``target``, whole or not at all, and check its SHA-256 where GitHub states one.

        Parameters
        ----------
        name : of the asset
        most_bytes : an asset that is larger is refused before its download begins

        Raises
        ------
        ReleaseError
            The release has no such asset; it is larger than ``most_bytes``, of another size than listed, or damaged.
        """
        check_asset_name(name)
        asset = release.asset(name)
        if asset is None:
            names = _some([one.name for one in release.assets])
            raise ReleaseError(f"release {release.tag!r} of {self.name} has no asset {name}; there are {names}.")
        if asset.size > most_bytes:
            raise ReleaseError(
                f"{name} of release {release.tag!r} has {asset.size} bytes; at most {most_bytes} are taken."
            )

        def attempt() -> None:
            digest = sha256()
            with whole_file(target) as part:
                with part.open("wb") as stream:
                    for block in self._api.content(asset.id, asset.size):
                        digest.update(block)
                        stream.write(block)
                if asset.digest and asset.digest != f"sha256:{digest.hexdigest()}":
                    raise ReleaseError(
                        f"{name} of release {release.tag!r} came with SHA-256 {digest.hexdigest()}, GitHub states "
                        f"{asset.digest}; nothing of it is kept, run this again."
                    )

        ask(self._access, f"download {name} of release {release.tag!r}", attempt)

    def upload(self, release: Release, path: Path, name: str) -> str:
        """Upload a file as an asset; return ``uploaded``, ``replaced`` or ``same`` (it was there: nothing was sent).

        The file is uploaded under a temporary name and renamed at the end, so that no reader finds half of it. What an
        earlier, interrupted upload of this asset left is removed first.

        Raises
        ------
        ReleaseError
            The name is not allowed; the file is missing, empty or over 2 GiB; GitHub stores other bytes than were sent.
        """
        check_asset_name(name)
        if not path.is_file():
            raise ReleaseError(f"{path} is missing; it should be uploaded as {name} to release {release.tag!r}.")
        if not 0 < path.stat().st_size <= MOST_ASSET_BYTES:
            raise ReleaseError(
                f"{path} has {path.stat().st_size} bytes; GitHub takes assets of 1 to {MOST_ASSET_BYTES} bytes."
            )
        upload = Upload(self._api, release.id, path, name)
        return ask(self._access, f"upload {name} to release {release.tag!r}", upload.attempt)

    def draft(self, tag: str, *, title: str, body: str, commit: str) -> Release:
        """Create the draft release of a tag, or update the existing draft.

        Parameters
        ----------
        tag : of the release; it is set in git when the draft is published
        title, body : what the release's page shows, ``body`` as Markdown
        commit : what the tag will point to

        Raises
        ------
        ReleaseError
            The tag is empty, or its release is published already.
        """
        if not tag.strip():
            raise ReleaseError("a draft release needs a tag, such as v1.2; it is empty.")
        fields: dict[str, Any] = {"tag_name": tag, "name": title, "body": body, "target_commitish": commit}

        def attempt() -> Release:
            same_tag = [release for release in self._api.releases() if release.tag == tag]
            if any(not release.draft for release in same_tag):
                raise ReleaseError(
                    f"release {tag!r} of {self.name} is published and stays as it is; draft the next version's tag."
                )
            if same_tag:
                return self._api.update_release(same_tag[0].id, **fields, draft=True)
            return self._api.create_release(**fields, draft=True)

        return ask(self._access, f"draft release {tag!r} of {self.name}", attempt)


def _some(words: list[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more if words else "none"
