"""Contents of assets in streams: down within bounds, up with a time limit.

PyGithub downloads without a bound, takes the token along to another port of the same host, and uploads to another host
without a time limit; so these two are written with requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from github import GithubException

from ...base.errors import CordriftError
from .access import Access, is_safe, origin
from .retry import lower, refuse_answer

#: Seconds until a request must be connected, and between any two parts of its answer.
TIMEOUT_S = 60
_BLOCK_BYTES = 1 << 18


def content(access: Access, asset_id: int, size: int) -> Iterator[bytes]:
    """Yield the bytes of an asset in blocks, ``size`` in all.

    Raises
    ------
    CordriftError
        There are more or fewer bytes, or GitHub sends us to an address that is not safe.
    """
    url = f"{access.url}/repos/{access.repository}/releases/assets/{asset_id}"
    received = 0
    with _session() as session, _followed(session, access, url) as response:
        for block in response.iter_content(_BLOCK_BYTES):
            received += len(block)
            if received > size:
                raise CordriftError(f"GitHub lists {size} bytes and sends more; nothing is kept of them.")
            yield block
    if received < size:
        raise CordriftError(f"GitHub lists {size} bytes and sends {received}; nothing is kept of them.")


def send(access: Access, upload_url: str, name: str, path: Path) -> dict[str, Any]:
    """Upload a file as an asset, to the address that the release names, and return what GitHub says of the asset.

    Raises
    ------
    CordriftError
        The address is not GitHub's.
    """
    url = upload_url.partition("{")[0]
    host = str(urlsplit(access.url).hostname).removeprefix("api.")
    if origin(url) not in (origin(access.url), ("https", f"uploads.{host}", None)):
        raise CordriftError(
            f"the release names {urlsplit(url).netloc!r} for uploads, which is no host of {access.url}."
        )
    # GitHub hands an asset out as what it was sent as: a picture of another kind is not shown in a summary.
    kind = guess_type(path.name)[0] or "application/octet-stream"
    headers = access.headers(access.url) | {"Content-Type": kind}
    with _session() as session, path.open("rb") as stream:
        response = session.post(
            url, params={"name": name}, data=stream, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
        )
        _check(response)
        try:
            value = response.json()
        except requests.JSONDecodeError as error:
            raise refuse_answer(access) from error
    if not isinstance(value, dict):
        raise refuse_answer(access)
    return value


def _session() -> requests.Session:
    session = requests.Session()
    session.auth = lambda request: request  # else requests sends what ~/.netrc holds for a host
    return session


@contextmanager
def _followed(session: requests.Session, access: Access, url: str) -> Iterator[requests.Response]:
    """Yield the answer to a download, after at most three redirects."""
    for _ in range(4):
        headers = access.headers(url) | {"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False) as response:
            if not response.is_redirect:
                if origin(url) != origin(access.url) and 300 <= response.status_code < 500:
                    raise CordriftError(
                        f"GitHub's storage {urlsplit(url).netloc} answered {response.status_code}; run this again."
                    )
                _check(response)
                yield response
                return
            url = urljoin(url, response.headers["location"])
        if not is_safe(url, loopback=access.url.startswith("http:")):
            raise CordriftError(f"GitHub sends the download to {urlsplit(url).netloc!r} without https; not followed.")
    raise CordriftError("GitHub sends the download from address to address; given up after three.")


def _check(response: requests.Response) -> None:
    """Raise a refusal as PyGithub raises its own."""
    if response.status_code >= 300:
        try:
            data = response.json()
        except requests.JSONDecodeError:
            data = {}
        raise GithubException(response.status_code, data, lower(response.headers))
