"""What the variables of GitHub's runners say: which repository is meant, where GitHub is, and the token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ...base.errors import ReleaseError

_LOOPBACK = {"127.0.0.1", "localhost"}


@dataclass(frozen=True)
class Access:
    """How one repository is reached.

    Attributes
    ----------
    repository : owner/name
    url : address of the API, without a slash at its end
    token : ``""`` where there is none
    server : address of GitHub's web pages, without a slash at its end
    """

    repository: str
    url: str
    token: str = field(repr=False)
    server: str = "https://github.com"

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers for an address. The token goes to the API's own origin and nowhere else."""
        headers = {"User-Agent": "cordrift", "X-GitHub-Api-Version": "2022-11-28"}
        if self.token and origin(url) == origin(self.url):
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def read_access(environment: Mapping[str, str]) -> Access:
    """Read GITHUB_REPOSITORY, GITHUB_API_URL, GITHUB_SERVER_URL and GITHUB_TOKEN, as GitHub's runners set them.

    Raises
    ------
    ReleaseError
        The repository is missing or is not owner/name; the address is not https (or http on this machine); the token
        contains a character that no token has. The message never contains the token.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    if not repository:
        raise ReleaseError("GITHUB_REPOSITORY is not set; it names the repository of the releases, as owner/name.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", repository):
        raise ReleaseError(f"GITHUB_REPOSITORY is {repository!r}; expected owner/name, such as lab/cordrift.")
    url = (environment.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/")
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._/-]*)?", url) or not is_safe(url):
        raise ReleaseError(
            f"GITHUB_API_URL is {url!r}; expected an https address such as https://api.github.com, without password "
            "or query (http is allowed for 127.0.0.1 only)."
        )
    token = environment.get("GITHUB_TOKEN", "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise ReleaseError("GITHUB_TOKEN contains white space or a character that no token has; set it again.")
    server = (environment.get("GITHUB_SERVER_URL") or Access.server).rstrip("/")
    return Access(repository, url, token, server)


def is_safe(url: str, *, loopback: bool = True) -> bool:
    """Return whether an address is https, or http on this machine where ``loopback`` allows it."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading the port checks it
    except ValueError:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of an address; the scheme's default port is ``None``.

    Raises
    ------
    ValueError
        The address cannot be read.
    """
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, None if parts.port == default else parts.port
