"""Where GitHub is and as whom it is spoken to, as the variables of its runners say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ...base.errors import CordriftError

_LOOPBACK = {"127.0.0.1", "localhost"}


@dataclass(frozen=True)
class Access:
    """A repository (owner/name), the API's address without a slash at its end, and the token or ``""``."""

    repository: str
    url: str
    token: str = field(repr=False)

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers for an address: the token goes to the API's own origin and nowhere else."""
        headers = {"User-Agent": "cordrift", "X-GitHub-Api-Version": "2022-11-28"}
        if self.token and origin(url) == origin(self.url):
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def read_access(environment: Mapping[str, str]) -> Access:
    """Read GITHUB_REPOSITORY, GITHUB_API_URL and GITHUB_TOKEN, as GitHub's runners set them.

    Raises
    ------
    CordriftError
        The repository is missing or no owner/name; the address is not https (or http on this machine); the token holds
        what no token holds. The token itself is never part of the sentence.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    if not repository:
        raise CordriftError("GITHUB_REPOSITORY is not set; it names the repository of the releases, as owner/name.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", repository):
        raise CordriftError(f"GITHUB_REPOSITORY is {repository!r}; expected owner/name, such as lab/cordrift.")
    url = (environment.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/")
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._/-]*)?", url) or not is_safe(url):
        raise CordriftError(
            f"GITHUB_API_URL is {url!r}; expected an https address such as https://api.github.com, without password "
            "or query (http is for 127.0.0.1 alone)."
        )
    token = environment.get("GITHUB_TOKEN", "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise CordriftError("GITHUB_TOKEN holds white space or a character that no token has; set it anew.")
    return Access(repository, url, token)


def is_safe(url: str, *, loopback: bool = True) -> bool:
    """Tell whether an address is https, or http on this machine where ``loopback`` allows it."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - read to be checked
    except ValueError:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of an address; the port that the scheme implies is ``None``."""
    parts = urlsplit(url)
    implied = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, None if parts.port == implied else parts.port
