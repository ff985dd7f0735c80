"""A request to GitHub is tried again within bounds, and its error becomes a sentence.

PyGithub's own retries wait as long as the server says and are switched off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from time import sleep, time
from typing import TypeVar

import requests
from github import BadAttributeException, GithubException, IncompletableObject
from github.Requester import Requester

from ...base.errors import CordriftError
from .access import Access

#: How often a request is tried in all.
ATTEMPTS = 4
#: Seconds before the second attempt when GitHub names none; doubled before each further one.
FIRST_WAIT_S = 1.0
#: The longest wait between two attempts in seconds; when GitHub asks for more, the user is told until when.
MOST_WAIT_S = 300.0
#: Seconds to wait when GitHub limits the rate without saying for how long, as its documentation asks.
_UNNAMED_WAIT_S = 60.0

T = TypeVar("T")


def ask(access: Access, purpose: str, call: Callable[[], T]) -> T:
    """Run ``call``, again when GitHub or the way to it fails for the moment; ``purpose`` completes "could not ...".

    ``call`` runs up to :data:`ATTEMPTS` times, so it must be right to run after a run that failed anywhere.

    Raises
    ------
    CordriftError
        GitHub refuses, its limit is far away, or it fails at every attempt.
    """
    with _sentences(access, purpose):
        for attempt in range(ATTEMPTS - 1):
            try:
                return call()
            except (GithubException, requests.RequestException) as error:
                wait_s = seconds_before_retry(error, attempt, time())
                if wait_s is None:
                    raise
            sleep(wait_s)
        return call()


def seconds_before_retry(error: Exception, attempt: int, now: float) -> float | None:
    """Return how long to wait after failure number ``attempt`` (from 0), or ``None`` when trying again is no use.

    ``now`` is in seconds since the epoch.
    """
    wait_s: float | None = FIRST_WAIT_S * 2**attempt
    if isinstance(error, GithubException):
        if _limits_rate(error):
            wait_s = _limit_s(error, now)
        elif error.status < 500:
            wait_s = None
    elif not isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
        wait_s = None
    return wait_s if wait_s is not None and wait_s <= MOST_WAIT_S else None


def refuse_answer(access: Access) -> CordriftError:
    """Return the error for an answer that is not of GitHub's API."""
    return CordriftError(f"{access.url} answers, but not as GitHub's API does; check GITHUB_API_URL and the proxy.")


def lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers with names in lower case, as PyGithub keeps them."""
    return {name.lower(): str(value) for name, value in (headers or {}).items()}


def _message(error: GithubException) -> str:
    data = error.data if isinstance(error.data, dict) else {}
    return str(data.get("message") or "")


def _limits_rate(error: GithubException) -> bool:
    headers = lower(error.headers)
    told = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return error.status == 429 or (error.status == 403 and (told or Requester.isRateLimitError(_message(error))))


def _limit_s(error: GithubException, now: float) -> float:
    """Return how many seconds GitHub wants us to wait."""
    headers = lower(error.headers)
    after, reset = (re.fullmatch(r"\d{1,11}", headers.get(name, "")) for name in ("retry-after", "x-ratelimit-reset"))
    if after:
        return float(after[0])
    if reset and headers.get("x-ratelimit-remaining") == "0":
        return max(0.0, float(reset[0]) - now) + 1  # the reset may lie anywhere in that second
    return _UNNAMED_WAIT_S


@contextmanager
def _sentences(access: Access, purpose: str) -> Iterator[None]:
    """Turn every error of GitHub and of the way to it into a sentence without the token."""
    try:
        yield
    except (IncompletableObject, AssertionError, BadAttributeException, RuntimeError, ValueError) as error:
        # PyGithub's ways of refusing a value that is missing, a foreign address, another type, a redirect, broken JSON
        raise refuse_answer(access) from error
    except GithubException as error:
        raise CordriftError(f"could not {purpose}: {_explain(access, error)}") from error
    except requests.RequestException as error:
        # The error's own text can hold a signed address.
        raise CordriftError(
            f"could not {purpose}: no whole answer from {access.url} or its storage ({type(error).__name__}); "
            "check the network and GITHUB_API_URL, then run this again."
        ) from error


def _explain(access: Access, error: GithubException) -> str:
    data = error.data if isinstance(error.data, dict) else {}
    problems = [problem for problem in data.get("errors") or [] if isinstance(problem, dict)]
    said = ", ".join([_message(error), *(str(problem.get("code") or problem.get("message")) for problem in problems)])
    if access.token:
        said = said.replace(access.token, "***")
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
            "write and `contents: read` to read, a token of one's own the same rights."
        )
    if error.status == 404:
        return (
            f"there is no such thing in {access.repository} at {access.url} ({status}); the name may be misspelt, the "
            "token may not see it, or it was deleted meanwhile."
        )
    if error.status >= 500:
        return f"GitHub failed at each of {ATTEMPTS} attempts ({status}); run this again later."
    return f"GitHub answered {status}."
