"""The errors that users read, one class per kind of fault, and the wrapper that prints them."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches

#: Names of environment variables whose values are secrets.
_SECRET_NAMES = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|(^|_)PASS(_|$)|(ACCESS|API|PRIVATE)_?KEY", re.I)
#: ``name=value`` of which the value is a secret, as in the query of an address that was signed.
_SECRET_PAIRS = re.compile(
    r"(?P<name>\b[\w-]*(?:token|passw(?:or)?d|secret|credential|signature|api[_-]?key|access[_-]?key)[\w-]*|\bsig)"
    r"(?P<sign>\s*=\s*|:(?=\S)|['\"]:\s*)(?P<value>['\"]?[^\s'\",;&)]+)",
    re.I,
)


def printable(text: str) -> str:
    """Return ``text`` with its control characters written out, so that a file's name cannot steer the terminal.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def redact(text: str) -> str:
    """Return ``text`` without credentials: in addresses, after names such as ``token=``, and from this environment.

    It would rather hide too much of an address than show a part of a password.

    >>> redact("no answer from https://bob:secret@mlflow.lab.org/api?token=1 yet")
    'no answer from https://mlflow.lab.org/api yet'
    >>> redact("http://bob:se/c@ret@lab.org:80/x and s3://key:secret@bucket")
    'http://lab.org:80/x and s3://bucket'
    >>> redact("signature=abc, GITHUB_TOKEN:ghp_1, Authorization: Bearer xyz")
    'signature=***, GITHUB_TOKEN:***, Authorization: Bearer ***'
    """
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAMES.search(name):
            text = text.replace(value, "***")
    # The pattern reaches to the last @ before a space, because a password may contain @, / and quotes.
    text = re.sub(r"(\w:/{2,3})[^\s]*@", r"\1", text)
    text = re.sub(r"(\w://[^\s'\"?#]*)[?#][^\s'\"]*", r"\1", text)
    text = re.sub(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", r"\1 ***", text)
    return _SECRET_PAIRS.sub(r"\g<name>\g<sign>***", text)


class CordriftError(Exception):
    """A fault that the user can repair, told in whole sentences: what, which value, what was expected, what to do.

    Bad input raises this class or one of its subclasses before anything is written. The user sees the sentences and no
    stack trace. Any other exception that reaches the user is a defect of cordrift.

    An error is where most addresses become text, so that its text never shows credentials (:func:`redact`).
    """

    def __str__(self) -> str:
        return printable(redact(super().__str__()))


class SettingsError(CordriftError):
    """``params.yaml``, the registry or the command line asks for something that is unknown or impossible."""


class DatasetError(CordriftError):
    """A dataset, its clone, its manifest or its findings are missing, or differ from what was fetched."""


class ImageError(CordriftError):
    """One image, mask or label file cannot be used; the other files of its batch can."""


class BundleError(CordriftError):
    """A model's bundle, its training or its masks are missing, damaged or not allowed."""


class PipelineError(CordriftError):
    """An output of an earlier stage is missing or stale, or DVC failed; ``dvc repro`` makes it."""


class StoreError(CordriftError):
    """MLflow cannot be reached, refuses a request, or does not hold the version or file that is needed."""


class ReleaseError(CordriftError):
    """GitHub refuses a request, or a release or the table that an earlier release published cannot be used."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` when one of the ``known`` words resembles ``word``, else ``""``."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


#: What a person can do about a fault of the machine, by its number.
_MACHINE = {
    errno.ENOSPC: "the disk is full; free space and run the same command again",
    errno.EDQUOT: "the quota of this user is used up; free space and run the same command again",
    errno.EROFS: "the file system is read-only; work in a folder that can be written",
    errno.EACCES: "this user has no right to it; change its rights, or work in another folder",
    errno.EPERM: "this user has no right to it; change its rights, or work in another folder",
    errno.EMFILE: "this process may open no more files; raise the limit (`ulimit -n 4096`)",
    errno.EIO: "the disk reports an error; look at it before anything else is written there",
    errno.ENAMETOOLONG: "the name is too long for this file system; use a shorter path",
}


class _Printable(io.TextIOWrapper):
    """Standard output on which names of files and texts of others cannot steer the terminal."""

    def write(self, text: str) -> int:
        return super().write(printable(text))


def run(main: Callable[[], None]) -> None:
    """Run the ``main`` of a command; a :class:`CordriftError` becomes one line on stderr and the exit status 1.

    So do faults of the machine, such as a full disk, and an interruption (exit status 130, as in a shell). On a
    terminal that cannot show a letter, its number is shown, and control characters in what is printed are written out.
    """
    if type(sys.stdout) is io.TextIOWrapper:
        old = sys.stdout
        old.flush()
        sys.stdout = _Printable(
            old.buffer, encoding=old.encoding, errors="backslashreplace", line_buffering=old.line_buffering
        )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    try:
        main()
    except CordriftError as error:
        _end(str(error))
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _end(redact(f"{where}{error.strerror}: {_MACHINE[error.errno]}. What was written completely is kept."))
    except KeyboardInterrupt:
        _end("interrupted. What was written completely is kept; the same command does the rest.", 130)


def _end(sentence: str, status: int = 1) -> None:
    print(f"cordrift: {sentence}", file=sys.stderr)
    sys.exit(status)
