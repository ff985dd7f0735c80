"""An asset goes up under a temporary name and takes its own at the end; run again, the rest of a broken upload goes."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from secrets import randbelow

from github.GitRelease import GitRelease
from github.GitReleaseAsset import GitReleaseAsset
from github.Repository import Repository

from ...base.errors import CordriftError
from ...base.files import sha256_of
from .access import Access
from .content import content, send
from .retry import refuse_answer

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}(?<!\.)")
_PART = re.compile(r"(?P<name>.+)\.part-\d+")


def check_asset_name(name: str) -> None:
    """Make sure that a name of an asset is plain; GitHub changes others, and they could lead a path astray.

    Raises
    ------
    CordriftError
        It is not 1 to 101 letters, digits, dots, hyphens and underscores, or looks like a temporary name.
    """
    if not _NAME.fullmatch(name) or _PART.fullmatch(name):
        raise CordriftError(
            f"asset name {name!r} is refused; expected at most 101 letters, digits, '.', '_' and '-', a letter or "
            "digit first, no dot last, no '.part-' with a number last."
        )


def stated_digest(asset: GitReleaseAsset) -> str:
    """Return ``sha256:`` and 64 digits as GitHub states them, ``""`` where it does not."""
    return asset.digest if asset.digest and re.fullmatch(r"sha256:[0-9a-f]{64}", asset.digest) else ""


class Upload:
    """One file on its way to a release, in as many attempts as it takes."""

    def __init__(self, access: Access, repository: Repository, release_id: int, path: Path, name: str) -> None:
        self._access, self._repository, self._release_id = access, repository, release_id
        self._path, self._name = path, name
        self._size, self._digest = path.stat().st_size, f"sha256:{sha256_of(path)}"
        self._outcome = "same"

    def attempt(self) -> str:
        """Bring the release to hold the file, from whatever an earlier attempt left.

        Returns ``uploaded``, ``replaced`` or ``same``: what all attempts of this object together have done.
        """
        release = self._repository.get_release(self._release_id).complete()
        old = None
        for asset in release.assets:
            part = _PART.fullmatch(asset.name)
            if asset.name == self._name and asset.state == "uploaded":
                old = asset
            elif asset.name == self._name or (part and part["name"] == self._name):
                asset.delete_asset()
        if old is not None and self._is_held_by(old):
            return self._outcome
        if old is not None:
            self._outcome = "replaced"
        elif self._outcome == "same":
            self._outcome = "uploaded"
        new = self._put(release)
        if old is not None:
            old.delete_asset()
        new.update_asset(self._name)
        return self._outcome

    def _is_held_by(self, asset: GitReleaseAsset) -> bool:
        """Tell whether an asset has this content; where GitHub states no digest, its bytes are read."""
        if asset.size != self._size:
            return False
        stated = stated_digest(asset)
        if not stated:
            read = sha256()
            for block in content(self._access, asset.id, self._size):
                read.update(block)
            stated = f"sha256:{read.hexdigest()}"
        return stated == self._digest

    def _put(self, release: GitRelease) -> GitReleaseAsset:
        """Upload the file under a temporary name, and make sure that GitHub stores just these bytes."""
        stored = send(self._access, release.upload_url, f"{self._name}.part-{randbelow(10**9)}", self._path)
        if not isinstance(stored.get("id"), int):
            raise refuse_answer(self._access)
        asset = self._repository.get_release_asset(stored["id"])
        if stored.get("size") != self._size or stored.get("digest") not in (None, self._digest):
            asset.delete_asset()
            raise CordriftError(
                f"GitHub stored {stored.get('size')} bytes, {stored.get('digest')}, of {self._path}, which had "
                f"{self._size} bytes, {self._digest}; they were removed again. Did the file change meanwhile?"
            )
        return asset
