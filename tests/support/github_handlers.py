"""The releases that the loopback server of tests/support/github_api.py keeps, and its answers to requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from support.github_api import GitHubServer

API, UPLOADS = "/api/v3", "/api/uploads"
NOW = "2026-07-01T00:00:00Z"


@dataclass
class StoredAsset:
    """An asset; ``listed`` replaces fields of its description in the API."""

    id: int
    name: str
    content: bytes
    state: str = "uploaded"
    listed: dict[str, Any] = field(default_factory=dict)


@dataclass
class StoredRelease:
    """A release; ``published`` is empty for a draft."""

    id: int
    tag: str
    title: str
    body: str
    published: str
    prerelease: bool = False
    commit: str = "main"
    assets: list[StoredAsset] = field(default_factory=list)


@dataclass
class Fault:
    """The answer to the next ``count`` requests whose path contains ``path``; ``status`` 0 breaks the connection.

    With ``late`` the request takes effect, and only its answer is replaced by this one.
    """

    count: int
    status: int
    headers: dict[str, str]
    body: bytes
    path: str
    method: str
    late: bool


class Handler(BaseHTTPRequestHandler):
    """Reads a whole request, then answers with the fault that is set for it, or calls ``respond``."""

    github: GitHubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""

    def handle_any(self) -> None:
        """Answer a request."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.github.note(self.command, self.path, headers)
        length = int(self.headers.get("Content-Length") or 0)
        self.late = fault if fault and fault.late else None
        if fault and not fault.status:
            self.rfile.read(length // 2)
            self.break_off()
            self.close_connection = True
            return
        self.content = self.rfile.read(length)
        if fault and not fault.late:
            self.send(fault.status, fault.body, fault.headers)
            return
        self.respond()

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815

    def respond(self) -> None:
        """Answer a request for which no fault is set."""
        raise NotImplementedError

    def break_off(self) -> None:
        """Do what a broken connection does on the server."""

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        """Send an answer, or the late fault instead; with ``cut`` only its first half."""
        if self.late:
            status, body, headers = self.late.status, self.late.body, self.late.headers
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)


class StorageHandler(Handler):
    """The host that stores the contents of assets."""

    def break_off(self) -> None:
        self.send(200, self._asked(), cut=True)

    def respond(self) -> None:
        self.send(200, self._asked(), {"Content-Type": "application/octet-stream"})

    def _asked(self) -> bytes:
        number = int(urlsplit(self.path).path.removeprefix("/storage/"))
        with self.github.lock:
            assets = [asset for release in self.github.all_releases() for asset in release.assets]
            return next(asset.content for asset in assets if asset.id == number)


class ApiHandler(Handler):
    """The API and the upload host."""

    def respond(self) -> None:
        with self.github.lock:
            self._respond()

    def break_off(self) -> None:
        """Add the empty asset that an upload leaves when it does not end."""
        parts = urlsplit(self.path)
        self.may_write = True
        with self.github.lock:
            found = re.fullmatch(UPLOADS + r"/repos/[^/]+/[^/]+/releases/(\d+)/assets", parts.path)
            if found and self.command == "POST":
                name = parse_qs(parts.query)["name"][0]
                self._release(found[1]).assets.append(StoredAsset(self.github.new_id(), name, b"", "starter"))

    def _respond(self) -> None:
        github, parts = self.github, urlsplit(self.path)
        told = re.fullmatch(r"(?:token|Bearer) (.+)", self.headers.get("Authorization", ""))
        if "Authorization" in self.headers and (told is None or told[1] not in (github.token, github.reader)):
            return self._refuse(401, "Bad credentials")
        self.may_write = told is not None and told[1] == github.token
        if self.command != "GET" and not self.may_write:
            if told is None:
                return self._refuse(401, "Requires authentication")
            return self._refuse(403, "Resource not accessible by integration")
        try:
            for method, pattern, answer in _ROUTES:
                prefix = UPLOADS if method == "UPLOAD" else API
                found = re.fullmatch(f"{prefix}/repos/{re.escape(github.repository)}/releases{pattern}", parts.path)
                if found and self.command == ("POST" if method == "UPLOAD" else method):
                    self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                    return answer(self, *found.groups())
        except (LookupError, StopIteration):
            pass
        return self._refuse(404, "Not Found")

    def _json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, status: int, message: str, code: str = "") -> None:
        errors = {"errors": [{"resource": "ReleaseAsset", "code": code, "field": "name"}]} if code else {}
        self._json(status, {"message": message, "documentation_url": "https://docs.github.com/rest", **errors})

    def _visible(self) -> list[StoredRelease]:
        return [release for release in self.github.all_releases() if release.published or self.may_write]

    def _release(self, number: str) -> StoredRelease:
        return next(release for release in self._visible() if release.id == int(number))

    def _asset(self, number: str) -> tuple[StoredRelease, StoredAsset]:
        pairs = [(release, asset) for release in self._visible() for asset in release.assets]
        return next(pair for pair in pairs if pair[1].id == int(number))

    def list_releases(self) -> None:
        size, page = int(self.query.get("per_page", 30)), int(self.query.get("page", 1))
        newest_first = self._visible()[::-1]
        shown = newest_first[(page - 1) * size : page * size]
        last = max(1, -(-len(newest_first) // size))
        address = f"{self.github.url}/repos/{self.github.repository}/releases?per_page={size}&page="
        links = [f'<{address}{page + 1}>; rel="next"', f'<{address}{last}>; rel="last"'] if page < last else []
        self._json(200, [self.github.describe(one) for one in shown], {"Link": ", ".join(links)} if links else None)

    def get_release(self, number: str) -> None:
        release = self._release(number)
        self._json(200, self.github.describe(release))

    def get_release_of_tag(self, tag: str) -> None:
        release = next(one for one in self._visible() if one.published and one.tag == unquote(tag))
        self._json(200, self.github.describe(release))

    def create_release(self) -> None:
        asked = json.loads(self.content)
        if any(one.published and one.tag == asked["tag_name"] for one in self.github.all_releases()):
            return self._refuse(422, "Validation Failed", "already_exists")
        release = StoredRelease(self.github.new_id(), asked["tag_name"], "", "", "")
        self.github.all_releases().append(release)
        self._change(release, asked)
        return self._json(201, self.github.describe(release))

    def update_release(self, number: str) -> None:
        release = self._release(number)
        self._change(release, json.loads(self.content))
        self._json(200, self.github.describe(release))

    def _change(self, release: StoredRelease, asked: dict[str, Any]) -> None:
        release.tag = asked.get("tag_name", release.tag)
        release.title = asked.get("name", release.title)
        release.body = asked.get("body", release.body)
        release.prerelease = asked.get("prerelease", release.prerelease)
        release.commit = asked.get("target_commitish", release.commit)
        if "draft" in asked:
            release.published = "" if asked["draft"] else release.published or NOW

    def list_assets(self, number: str) -> None:
        release = self._release(number)
        self._json(200, [self.github.describe_asset(asset) for asset in release.assets])

    def get_asset(self, number: str) -> None:
        _, asset = self._asset(number)
        if self.headers.get("Accept") != "application/octet-stream":
            return self._json(200, self.github.describe_asset(asset))
        return self.send(302, b"", {"Location": f"{self.github.storage}/storage/{asset.id}?signature=s1gned"})

    def delete_asset(self, number: str) -> None:
        release, asset = self._asset(number)
        release.assets.remove(asset)
        self.send(204, b"")

    def rename_asset(self, number: str) -> None:
        release, asset = self._asset(number)
        name = json.loads(self.content).get("name", asset.name)
        if any(other.name == name for other in release.assets if other is not asset):
            return self._refuse(422, "Validation Failed", "already_exists")
        asset.name = name
        return self._json(200, self.github.describe_asset(asset))

    def upload_asset(self, number: str) -> None:
        release = self._release(number)
        name = re.sub(r"[^A-Za-z0-9._+-]+", ".", self.query["name"]).strip(".")  # GitHub changes names in this way
        if any(other.name == name for other in release.assets):
            return self._refuse(422, "Validation Failed", "already_exists")
        release.assets.append(StoredAsset(self.github.new_id(), name, self.content))
        return self._json(201, self.github.describe_asset(release.assets[-1]))


_ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", "", ApiHandler.list_releases),
    ("POST", "", ApiHandler.create_release),
    ("GET", r"/(\d+)", ApiHandler.get_release),
    ("PATCH", r"/(\d+)", ApiHandler.update_release),
    ("GET", r"/tags/([^/]+)", ApiHandler.get_release_of_tag),
    ("GET", r"/(\d+)/assets", ApiHandler.list_assets),
    ("GET", r"/assets/(\d+)", ApiHandler.get_asset),
    ("PATCH", r"/assets/(\d+)", ApiHandler.rename_asset),
    ("DELETE", r"/assets/(\d+)", ApiHandler.delete_asset),
    ("UPLOAD", r"/(\d+)/assets", ApiHandler.upload_asset),
]
