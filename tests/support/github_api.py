"""A server on loopback that answers as the releases part of GitHub's REST API, with faults that can be switched on.

``url`` is the API (with the paths of an Enterprise server: ``/api/v3``, uploads at ``/api/uploads``). The contents of
assets come from a second port, the storage host, to which a token must never be sent. The server knows two tokens:
``token`` may write, ``reader`` may only read what is public. Any other token is refused.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from stages.core.base.errors import ReleaseError
from support.github_handlers import (
    API,
    NOW,
    UPLOADS,
    ApiHandler,
    Fault,
    Handler,
    StorageHandler,
    StoredAsset,
    StoredRelease,
)

#: Tags that other people may choose.
HOSTILE_TAGS = ['v1.0";curl x|sh;"', "../../x", "a?b=c#d", "%2e%2e/%2f", "tags/$(id)"]
#: The token that may write, unless a test names another.
WRITER = "t0ken-wr1te"


class GitHubServer:
    """The server; a context manager. Every method may be called while requests run."""

    def __init__(self) -> None:
        self.repository, self.token = "lab/cordrift", WRITER
        #: A token of a job with ``contents: read``.
        self.reader = WRITER + "-re4d"
        #: Whether answers state the SHA-256 of assets; older Enterprise servers do not.
        self.digests = True
        self.lock = threading.RLock()
        self._releases: list[StoredRelease] = []
        self._requests: list[tuple[str, str]] = []
        self._stored: list[tuple[str, dict[str, str]]] = []
        self._faults: list[Fault] = []
        self._next_id = 1000
        self._api = _serve(self, ApiHandler)
        self._storage = _serve(self, StorageHandler)
        self.origin = f"http://127.0.0.1:{self._api.server_port}"
        self.url = self.origin + API
        self.storage = f"http://127.0.0.1:{self._storage.server_port}"

    def __enter__(self) -> GitHubServer:
        for server in (self._api, self._storage):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._api, self._storage):
            server.shutdown()
            server.server_close()

    # What tests ask and set.

    def environment(self, token: str | None = None) -> dict[str, str]:
        """Return the variables that a runner sets; ``token=""`` leaves the token out."""
        token = self.token if token is None else token
        values = {"GITHUB_REPOSITORY": self.repository, "GITHUB_API_URL": self.url, "NO_PROXY": "127.0.0.1"}
        return values | ({"GITHUB_TOKEN": token} if token else {})

    def add_release(
        self,
        tag: str,
        *,
        published: str = NOW,
        assets: Mapping[str, bytes] | None = None,
        draft: bool = False,
        title: str | None = None,
        body: str = "",
        prerelease: bool = False,
    ) -> int:
        """Add a release and return its id."""
        with self.lock:
            title = tag if title is None else title
            release = StoredRelease(self.new_id(), tag, title, body, "" if draft else published, prerelease)
            release.assets = [StoredAsset(self.new_id(), name, data) for name, data in (assets or {}).items()]
            self._releases.append(release)
            return release.id

    def publish(self, tag: str, published: str = NOW) -> None:
        """Publish the draft of a tag, as its button does."""
        with self.lock:
            self.stored(tag).published = published

    def stored(self, tag: str) -> StoredRelease:
        """Return the (newest) release of a tag, to look at or to change."""
        with self.lock:
            return next(release for release in reversed(self._releases) if release.tag == tag)

    def tags(self) -> list[str]:
        """Return the tags of all releases, drafts too, as they were made."""
        with self.lock:
            return [release.tag for release in self._releases]

    def assets(self, tag: str) -> dict[str, bytes]:
        """Return the whole assets of a release: name and content."""
        with self.lock:
            return {asset.name: asset.content for asset in self.stored(tag).assets if asset.state == "uploaded"}

    def states(self, tag: str) -> dict[str, str]:
        """Return name and state of every asset, those of broken uploads too."""
        with self.lock:
            return {asset.name: asset.state for asset in self.stored(tag).assets}

    def add_asset(self, tag: str, name: str, content: bytes, state: str = "uploaded", **listed: Any) -> None:
        """Add an asset; ``listed`` are untrue fields of its description, such as ``size=3`` or ``digest=...``."""
        with self.lock:
            self.stored(tag).assets.append(StoredAsset(self.new_id(), name, content, state, listed))

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path (with its query, as sent) of every request to the API."""
        with self.lock:
            return list(self._requests)

    @property
    def violations(self) -> list[str]:
        """Requests to the storage host that carried a token."""
        with self.lock:
            return [path for path, headers in self._stored if "authorization" in headers]

    @property
    def stored_requests(self) -> list[str]:
        """Paths of the requests to the storage host."""
        with self.lock:
            return [path for path, _ in self._stored]

    def fail_next(
        self,
        count: int,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | dict[str, Any] | None = None,
        path: str = "",
        method: str = "",
        late: bool = False,
    ) -> None:
        """Answer the next ``count`` requests whose path contains ``path`` with this; status 0 breaks the connection.

        A broken upload reads half of the content and leaves an asset in state ``starter``; a broken download sends half
        of it. Paths of the storage host begin with ``/storage/``. With ``late`` the request takes effect and only its
        answer is lost (not with status 0).
        """
        if body is None:
            body = {"message": "Server Error" if status >= 500 else "Refused"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.lock:
            self._faults.append(Fault(count, status, dict(headers or {}), data, path, method, late))

    def limit_next(self, count: int, reset: int, status: int = 403) -> None:
        """Tell the next requests that the rate limit is reached until ``reset`` (seconds since the epoch)."""
        headers = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
        self.fail_next(count, status, headers=headers, body={"message": "API rate limit exceeded for 127.0.0.1."})

    # What the handlers use.

    def new_id(self) -> int:
        """Return a number not given before."""
        with self.lock:
            self._next_id += 1
            return self._next_id

    def note(self, method: str, path: str, headers: dict[str, str]) -> Fault | None:
        """Record a request and return the fault that is set for it."""
        with self.lock:
            if path.startswith("/storage/"):
                self._stored.append((path, headers))
            else:
                self._requests.append((method, path))
            for fault in self._faults:
                if fault.count and fault.path in path and fault.method in ("", method):
                    fault.count -= 1
                    return fault
            return None

    def all_releases(self) -> list[StoredRelease]:
        """Return the releases themselves."""
        return self._releases

    def describe(self, release: StoredRelease) -> dict[str, Any]:
        """Return a release as the API does."""
        path = f"/repos/{self.repository}/releases/{release.id}"
        return {
            "url": self.url + path,
            "assets_url": f"{self.url}{path}/assets",
            "upload_url": f"{self.origin}{UPLOADS}{path}/assets{{?name,label}}",
            "html_url": f"{self.origin}/{self.repository}/releases/{release.id}",
            "id": release.id,
            "tag_name": release.tag,
            "target_commitish": release.commit,
            "name": release.title or None,
            "body": release.body or None,
            "draft": not release.published,
            "prerelease": release.prerelease,
            "created_at": NOW,
            "published_at": release.published or None,
            "assets": [self.describe_asset(asset) for asset in release.assets],
        }

    def describe_asset(self, asset: StoredAsset) -> dict[str, Any]:
        """Return an asset as the API does."""
        whole = asset.state == "uploaded"
        value = {
            "url": f"{self.url}/repos/{self.repository}/releases/assets/{asset.id}",
            "id": asset.id,
            "name": asset.name,
            "label": "",
            "state": asset.state,
            "content_type": "application/octet-stream",
            "size": len(asset.content),
            "created_at": NOW,
            "updated_at": NOW,
        }
        if self.digests:
            value["digest"] = f"sha256:{hashlib.sha256(asset.content).hexdigest()}" if whole else None
        return value | asset.listed


def _serve(github: GitHubServer, handler: type[Handler]) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", 0), type(handler.__name__, (handler,), {"github": github}))


def refused(call: Callable[[], object]) -> str:
    """Return the message of a refusal, after checking that it contains neither a token nor a signed address."""
    with pytest.raises(ReleaseError) as caught:
        call()
    sentence = str(caught.value)
    assert "t0ken" not in sentence
    assert "s1gned" not in sentence
    return sentence
