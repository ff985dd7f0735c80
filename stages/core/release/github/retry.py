"""Repeat a request to GitHub within bounds, and turn its errors into sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import sleep, time
from typing import TypeVar

import requests
from requests.structures import CaseInsensitiveDict

from ...base.errors import ReleaseError
from .access import Access

#: How often a request is tried in all.
ATTEMPTS = 4
#: Seconds before the second attempt when GitHub names none; doubled before each further one.
FIRST_WAIT_S = 1.0
#: The longest wait between two attempts in seconds. When GitHub asks for more, the user is told until when.
MOST_WAIT_S = 300.0
#: Seconds to wait when GitHub limits the rate without saying for how long, as its documentation asks.
_UNNAMED_WAIT_S = 60.0
#: What GitHub says in a refusal because of its rate limits, where no header says so.
_LIMIT = re.compile(r"rate limit|please (retry your request|wait a few minutes)", re.IGNORECASE)

T = TypeVar("T")


class Refusal(Exception):  # noqa: N818 - it is turned into a ReleaseError before anybody sees it
    """An answer with an HTTP status of 400 or more: the status, GitHub's words, and the headers."""

    def __init__(self, status: int, said: str, headers: Mapping[str, str]) -> None:
        super().__init__(status)
        self.status, self.said, self.headers = status, said, CaseInsensitiveDict(headers)


def refusal(response: requests.Response) -> Refusal:
    """Return the error for an answer with a status of 400 or more, with what its body says."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    body = body if isinstance(body, dict) else {}
    errors = body.get("errors")
    problems = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    words = [body.get("message") or "", *(problem.get("code") or problem.get("message") for problem in problems)]
    return Refusal(response.status_code, ", ".join(map(str, words)), response.headers)


def bad_answer(access: Access) -> ReleaseError:
    """Return the error for an answer that does not come from GitHub's API."""
    return ReleaseError(f"{access.url} answers, but not as GitHub's API does; check GITHUB_API_URL and the proxy.")


def ask(access: Access, purpose: str, call: Callable[[], T]) -> T:
    """Return what ``call`` returns; run it again when GitHub or the network fails for the moment.

    Parameters
    ----------
    access : whose address and token the messages speak of
    purpose : the words that complete "could not ..."
    call : runs up to :data:`ATTEMPTS` times, so it must be right to run it after a run that failed anywhere

    Raises
    ------
    ReleaseError
        GitHub refuses, its rate limit lasts longer than :data:`MOST_WAIT_S`, or every attempt failed. The message
        contains neither the token nor a signed address.
    """
    attempt = 0
    while True:
        try:
            return call()
        except (Refusal, requests.RequestException) as error:
            wait_s = seconds_before_retry(error, attempt, time()) if attempt < ATTEMPTS - 1 else None
            if wait_s is None:
                raise ReleaseError(f"could not {purpose}: {_explain(access, error)}") from error
        except ValueError as error:  # broken JSON, a missing field, a value of another type, an address without sense
            raise bad_answer(access) from error
        sleep(wait_s)
        attempt += 1


def seconds_before_retry(error: Exception, attempt: int, now: float) -> float | None:
    """Return how long to wait after failure number ``attempt`` (from 0); ``None`` when another attempt is no use.

    ``now`` is in seconds since the epoch.
    """
    wait_s: float | None = FIRST_WAIT_S * 2**attempt
    if isinstance(error, Refusal):
        if _limits_rate(error):
            wait_s = _limit_s(error, now)
        elif error.status < 500:
            wait_s = None
    elif not isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
        wait_s = None
    return wait_s if wait_s is not None and wait_s <= MOST_WAIT_S else None


def _limits_rate(error: Refusal) -> bool:
    told = "retry-after" in error.headers or error.headers.get("x-ratelimit-remaining") == "0"
    return error.status == 429 or (error.status == 403 and (told or bool(_LIMIT.search(error.said))))


def _limit_s(error: Refusal, now: float) -> float:
    """Return how many seconds GitHub wants us to wait."""
    names = ("retry-after", "x-ratelimit-reset")
    after, reset = (re.fullmatch(r"\d{1,11}", error.headers.get(name, "")) for name in names)
    if after:
        return float(after[0])
    if reset and error.headers.get("x-ratelimit-remaining") == "0":
        return max(0.0, float(reset[0]) - now) + 1  # the reset may lie anywhere in that second
    return _UNNAMED_WAIT_S


def _explain(access: Access, error: Refusal | requests.RequestException) -> str:
    if not isinstance(error, Refusal):
        # The text of the error may contain a signed address: only its name is shown.
        return (
            f"no whole answer from {access.url} or its storage ({type(error).__name__}); check the network and "
            "GITHUB_API_URL, then run this again."
        )
    said = error.said.replace(access.token, "***") if access.token else error.said
    said = "".join(letter for letter in said if letter.isprintable())[:200]
    status = f"{error.status} {said}".strip()
    if _limits_rate(error):
        until = datetime.fromtimestamp(time() + _limit_s(error, time()), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        more = "" if access.token else " (with GITHUB_TOKEN the limit is higher)"
        return f"GitHub's rate limit is reached ({status}); run this again after {until}{more}."
    if error.status == 401:
        hint = "GITHUB_TOKEN must be valid and not expired" if access.token else "set GITHUB_TOKEN"
        return f"GitHub wants a valid token ({status}); {hint}."
    if error.status == 403:
        return (
            f"the token may not do this ({status}); in a workflow the job needs `permissions: contents: write` to "
            "write and `contents: read` to read, and a personal token needs the same rights."
        )
    if error.status == 404:
        return (
            f"there is no such thing in {access.repository} at {access.url} ({status}); the name may be misspelt, the "
            "token may not be allowed to see it, or it was deleted meanwhile."
        )
    if error.status >= 500:
        return f"GitHub failed at each of {ATTEMPTS} attempts ({status}); run this again later."
    return f"GitHub answered {status}."
