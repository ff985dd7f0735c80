"""The exceptions that users are meant to read: a small family under one name, and the wrapper that prints them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches


class CordriftError(Exception):
    """A sentence for the user: what, which value, what was expected, where we looked, what to do.

    Every error that bad input can cause is raised as this class, before anything is written, and is shown
    without a stack trace. Anything else that escapes is a defect of cordrift.
    """


class SettingsError(CordriftError):
    """``params.yaml``, the registry or the command line asks for what is unknown or impossible."""


class DatasetError(CordriftError):
    """A dataset, its clone, its manifest or its checks are missing, or are not as they were fetched."""


class ImageError(CordriftError):
    """One image, mask or label file cannot be used; the other files of its batch can."""


class BundleError(CordriftError):
    """A model's bundle, its training or its masks are missing, damaged or not allowed."""


class StoreError(CordriftError):
    """MLflow cannot be reached, or does not hold what was asked for."""


class ReleaseError(CordriftError):
    """GitHub, or a release on it, refuses a request or is not as it must be."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` when one of ``known`` is close to ``word``, else an empty string."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def run(main: Callable[[], None]) -> None:
    """Run a command's ``main``; a :class:`CordriftError` becomes one line on stderr and exit status 1."""
    try:
        main()
    except CordriftError as error:
        print(f"cordrift: {error}", file=sys.stderr)
        sys.exit(1)


def redact(text: str) -> str:
    """Return ``text`` without the credentials and query strings of the addresses in it.

    >>> redact("no answer from https://bob:secret@mlflow.lab.org/api?token=1 yet")
    'no answer from https://mlflow.lab.org/api yet'
    """
    # Greedy up to the last @: a password may hold @ or / itself.
    text = re.sub(r"(\w://)[^\s'\"]*@", r"\1", text)
    return re.sub(r"(\w://[^\s'\"?]*)\?[^\s'\"]*", r"\1", text)
