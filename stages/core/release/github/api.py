"""The part of GitHub's REST API that releases need, over one HTTP session, and the answers as typed records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

import requests
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from ...base.errors import ReleaseError
from .access import Access, is_safe, origin
from .retry import Refusal, bad_answer, refusal

#: Seconds until a request must be connected, and between any two parts of its answer.
TIMEOUT_S = 60
_BLOCK_BYTES = 1 << 18
_MOST_REDIRECTS = 3

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Digest = Annotated[str, BeforeValidator(lambda value: value if _DIGEST.fullmatch(str(value)) else "")]


class Answer(BaseModel):
    """An object in an answer; fields that nobody here reads are left out."""

    model_config = ConfigDict(frozen=True, strict=True)


class Asset(Answer):
    """A file of a release.

    Attributes
    ----------
    size : in bytes
    state : ``uploaded``, or another word after an upload that did not end
    digest : ``sha256:`` and 64 hexadecimal digits; ``""`` where GitHub states none
    """

    id: int
    name: str
    size: int
    state: str
    digest: Digest = ""


class Release(Answer):
    """A release, published or a draft; ``page`` is the address of its web page."""

    id: int
    tag: str = Field(alias="tag_name")
    title: Text = Field(alias="name")
    body: Text = ""
    draft: bool
    prerelease: bool
    published_at: AwareDatetime | None
    page: str = Field(alias="html_url")
    upload_url: str
    listed: tuple[Asset, ...] = Field(alias="assets")

    @property
    def published(self) -> str:
        """Time of publication in ISO 8601 UTC; ``""`` for a draft."""
        if self.draft or self.published_at is None:
            return ""
        return self.published_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Assets that were uploaded whole."""
        return tuple(asset for asset in self.listed if asset.state == "uploaded")

    def asset(self, name: str) -> Asset | None:
        """Return the whole asset of this name, if there is one."""
        return next((asset for asset in self.assets if asset.name == name), None)


_RELEASES = TypeAdapter(list[Release])


class Api:
    """The releases of one repository.

    Each method sends its requests once. Run it inside :func:`.retry.ask`, which repeats them and turns every error into
    a sentence.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._url = f"{access.url}/repos/{access.repository}/releases"
        self._session = requests.Session()
        self._session.auth = lambda request: request  # otherwise requests sends the password of a host from ~/.netrc

    def releases(self) -> list[Release]:
        """Return all releases, from all pages of the list."""
        found, url = [], f"{self._url}?per_page=100"
        while url:
            response = self._call("GET", url)
            found += _RELEASES.validate_json(response.content)
            url = response.links.get("next", {}).get("url", "")
            if url and origin(url) != origin(self._access.url):
                raise bad_answer(self._access)
        return found

    def release(self, number: int) -> Release:
        """Return the release with this id."""
        return Release.model_validate_json(self._call("GET", f"{self._url}/{number}").content)

    def create_release(self, **fields: Any) -> Release:
        """Create a release with these fields, named as in GitHub's API."""
        return Release.model_validate_json(self._call("POST", self._url, json=fields).content)

    def update_release(self, number: int, **fields: Any) -> Release:
        """Change these fields of a release, named as in GitHub's API."""
        return Release.model_validate_json(self._call("PATCH", f"{self._url}/{number}", json=fields).content)

    def rename_asset(self, number: int, name: str) -> None:
        """Give the asset with this id another name."""
        self._call("PATCH", f"{self._url}/assets/{number}", json={"name": name})

    def delete_asset(self, number: int) -> None:
        """Delete the asset with this id."""
        self._call("DELETE", f"{self._url}/assets/{number}")

    def upload_asset(self, upload_url: str, name: str, path: Path) -> Asset:
        """Upload a file to the address that its release names, and return what GitHub says of the new asset.

        Raises
        ------
        ReleaseError
            The address does not belong to GitHub.
        """
        url = upload_url.partition("{")[0]
        host = str(urlsplit(self._access.url).hostname).removeprefix("api.")
        if origin(url) not in (origin(self._access.url), ("https", f"uploads.{host}", None)):
            raise ReleaseError(
                f"the release names {urlsplit(url).netloc!r} for uploads, which is no host of {self._access.url}."
            )
        # GitHub serves an asset with the type of its upload: a figure of another type is not shown in a summary.
        kind = guess_type(path.name)[0] or "application/octet-stream"
        headers = self._access.headers(self._access.url) | {"Content-Type": kind}
        with path.open("rb") as stream:
            response = self._call("POST", url, headers, params={"name": name}, data=stream)
        return Asset.model_validate_json(response.content)

    def content(self, number: int, size: int) -> Iterator[bytes]:
        """Yield the bytes of the asset with this id in blocks, ``size`` in all; at most three redirects are followed.

        Raises
        ------
        ReleaseError
            There are more or fewer bytes, or GitHub redirects to an address that is not safe.
        """
        received = 0
        with self._download(f"{self._url}/assets/{number}") as response:
            for block in response.iter_content(_BLOCK_BYTES):
                received += len(block)
                if received > size:
                    raise ReleaseError(f"GitHub lists {size} bytes and sends more; nothing of them is kept.")
                yield block
        if received < size:
            raise ReleaseError(f"GitHub lists {size} bytes and sends {received}; nothing of them is kept.")

    def _download(self, url: str) -> requests.Response:
        for _ in range(_MOST_REDIRECTS + 1):
            headers = self._access.headers(url) | {"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
            try:
                response = self._call("GET", url, headers, stream=True)
            except Refusal as error:
                if origin(url) != origin(self._access.url) and error.status < 500:
                    place = urlsplit(url).netloc
                    raise ReleaseError(f"GitHub's storage {place} answered {error.status}; run this again.") from error
                raise
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["location"])
            if not is_safe(url, loopback=self._access.url.startswith("http:")):
                raise ReleaseError(
                    f"GitHub redirects the download to {urlsplit(url).netloc!r} without https; the redirect is not "
                    "followed."
                )
        raise ReleaseError(f"GitHub redirects the download more than {_MOST_REDIRECTS} times; it was given up.")

    def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, stream: bool = False, **options: Any
    ) -> requests.Response:
        """Send a request and return its answer, which is no refusal, and no redirect unless ``stream`` is set."""
        headers = headers or self._access.headers(url) | {"Accept": "application/vnd.github+json"}
        options |= {"timeout": TIMEOUT_S, "allow_redirects": False, "stream": stream}
        response = self._session.request(method, url, headers=headers, **options)
        if response.status_code >= 400:
            raise refusal(response)
        if response.status_code >= 300 and not (stream and response.is_redirect):
            raise bad_answer(self._access)
        return response
