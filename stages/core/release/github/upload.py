"""Upload an asset under a temporary name, rename it at the end, and clean up after an upload that was interrupted."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from secrets import randbelow

from ...base.errors import ReleaseError
from ...base.files import sha256_of
from .api import Api, Asset

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}(?<!\.)")
_PART = re.compile(r"(?P<name>.+)\.part-\d+")


def check_asset_name(name: str) -> None:
    """Make sure that the name of an asset is plain: GitHub changes other names, and they could lead out of a folder.

    Raises
    ------
    ReleaseError
        It is not 1 to 101 letters, digits, dots, hyphens and underscores, or looks like a temporary name.
    """
    if not _NAME.fullmatch(name) or _PART.fullmatch(name):
        raise ReleaseError(
            f"asset name {name!r} is refused; expected at most 101 letters, digits, '.', '_' and '-', with a letter or "
            "digit first, no dot last, and no '.part-' with a number last."
        )


class Upload:
    """The upload of one file to a release, in as many attempts as it takes."""

    def __init__(self, api: Api, release_id: int, path: Path, name: str) -> None:
        self._api, self._release_id, self._path, self._name = api, release_id, path, name
        self._size, self._digest = path.stat().st_size, f"sha256:{sha256_of(path)}"
        self._outcome = "same"

    def attempt(self) -> str:
        """Make the release hold the file, whatever an earlier attempt left.

        Returns
        -------
        ``uploaded``, ``replaced`` or ``same``: what all attempts of this object together have done.
        """
        release = self._api.release(self._release_id)
        old = release.asset(self._name)
        for asset in release.listed:
            part = _PART.fullmatch(asset.name)
            if asset is not old and self._name in (asset.name, part and part["name"]):
                self._api.delete_asset(asset.id)
        if old is not None and self._is_held_by(old):
            return self._outcome
        if old is not None:
            self._outcome = "replaced"
        elif self._outcome == "same":
            self._outcome = "uploaded"
        new = self._put(release.upload_url)
        if old is not None:
            self._api.delete_asset(old.id)
        self._api.rename_asset(new.id, self._name)
        return self._outcome

    def _is_held_by(self, asset: Asset) -> bool:
        """Return whether an asset has this content; where GitHub states no digest, its bytes are read."""
        if asset.size != self._size:
            return False
        digest = asset.digest
        if not digest:
            read = sha256()
            for block in self._api.content(asset.id, self._size):
                read.update(block)
            digest = f"sha256:{read.hexdigest()}"
        return digest == self._digest

    def _put(self, upload_url: str) -> Asset:
        """Upload the file under a temporary name, and make sure that GitHub stores exactly these bytes."""
        stored = self._api.upload_asset(upload_url, f"{self._name}.part-{randbelow(10**9)}", self._path)
        if stored.size != self._size or stored.digest not in ("", self._digest):
            self._api.delete_asset(stored.id)
            raise ReleaseError(
                f"GitHub stored {stored.size} bytes, {stored.digest}, of {self._path}, which had {self._size} bytes, "
                f"{self._digest}; they were removed again. Did the file change meanwhile?"
            )
        return stored
