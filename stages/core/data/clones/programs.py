"""Run git, git-annex and DataLad as child processes that ask no questions and always have a user name."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...base.errors import DatasetError, SettingsError

_DATALAD = ("datalad", "-l", "error", "-f", "json")
#: Exit status that :func:`call` gives a program that it ended, as the command ``timeout`` does.
TIMED_OUT = 124
#: What git, git-annex and DataLad see of this environment. All else stays here, first of all keys and tokens of other
#: tools: git-annex writes those of a bucket into the clone, and sends them to a host that the dataset names. Variables
#: of an outer git command, such as GIT_DIR, are of another repository.
_PASSED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TERM|TMPDIR|TEMP|TMP|EMAIL|XDG_\w+|LD_LIBRARY_PATH|VIRTUAL_ENV"
    r"|SSH_AUTH_SOCK|SSH_AGENT_PID|GIT_SSH|GIT_SSH_COMMAND|GIT_SSH_VARIANT|GIT_CEILING_DIRECTORIES|GIT_SSL_\w+"
    r"|GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL|DATE)|GIT_CONFIG(_\w+)?|GIT_TRACE\w*"
    r"|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|(?i:(https?|all|no|ftp)_proxy)"
)
#: Variables that the programs see in addition, while :func:`granted` is on.
_granted: dict[str, str] = {}
_IDENTITY = {"user.name": "cordrift", "user.email": "cordrift@localhost"}


@contextmanager
def granted(values: Mapping[str, str]) -> Iterator[None]:
    """Let the programs that are started within the block, by any thread, see these variables too."""
    before = dict(_granted)
    _granted.update(values)
    try:
        yield
    finally:
        _granted.clear()
        _granted.update(before)


def variable(name: str) -> str:
    """Return the value of an environment variable of this machine, ``""`` where it is not set."""
    return os.environ.get(name, "")


def passed(name: str) -> bool:
    """Return whether git, git-annex and DataLad see the environment variable ``name`` without a grant."""
    return bool(_PASSED.fullmatch(name))


def datalad(arguments: Sequence[str], doing: str) -> None:
    """Run a DataLad command; ``doing`` says what it does, for the error.

    Raises
    ------
    DatasetError
        "DataLad could not <doing>", with the reason that DataLad gave.
    """
    answer = call([*_DATALAD, *arguments])
    results = [_json(line) for line in answer.stdout.decode(errors="replace").splitlines()]
    bad = [result for result in results if result.get("status") in ("error", "impossible")]
    if bad or answer.returncode:
        reasons = [f"{result.get('path', '')}: {result.get('message') or 'no reason given'}" for result in bad]
        detail = condensed(reasons[0] if reasons else answer.stderr.decode(errors="replace"))
        more = f" ({len(bad) - 1} more)" if len(bad) > 1 else ""
        raise DatasetError(f"DataLad could not {doing}: {detail}{more}.")


def datalad_results(arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Run a DataLad command and yield its results one by one, also those with status ``error``.

    Raises
    ------
    DatasetError
        DataLad stopped, and no result says why.
    """
    failed = False
    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen([*_DATALAD, *arguments], stdout=subprocess.PIPE, stderr=said, env=_environment())
        except FileNotFoundError as error:
            raise _not_found("datalad") from error
        with child:
            for line in child.stdout or ():
                result = _json(line.decode(errors="replace"))
                failed = failed or result.get("status") in ("error", "impossible")
                yield result
        if child.returncode and not failed:
            said.seek(0)
            raise DatasetError(f"DataLad stopped: {condensed(said.read().decode(errors='replace'))}.")


def _json(line: str) -> dict[str, Any]:
    """Return the JSON object in a line of output; an empty one where the line is something else."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def git(path: Path | None, arguments: Sequence[str], failure: str = "", stdin: str = "") -> str:
    """Run git and return its output.

    Parameters
    ----------
    path : repository; None: no repository is needed
    arguments : words after ``git``
    failure : beginning of the error message; ``""``: the command itself is named
    stdin : text that git reads

    Raises
    ------
    DatasetError
        Git returned a status other than 0.
    """
    where = [] if path is None else ["-C", str(path)]
    answer = call(["git", *where, *arguments], stdin.encode(errors="surrogateescape"))
    if answer.returncode:
        what = failure or f"`git {' '.join(arguments[:3])}` failed in {path}"
        raise DatasetError(f"{what}: {condensed(answer.stderr.decode(errors='replace'))}.")
    return answer.stdout.decode(errors="surrogateescape")


def person(given: str | None) -> str:
    """Return who decides: the name that is ``given``, else that in git's configuration, else the login name.

    Raises
    ------
    SettingsError
        There is none of them, as for the user of some containers.
    """
    # Not with the environment of this module, which adds a user name where there is none.
    answer = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    if name := given or answer.stdout.strip():
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise SettingsError(
            "who decides is not known: git has no user.name, and this user has no name; say it with --by NAME."
        ) from None


def condensed(text: str) -> str:
    """Return a program's message as one line of at most 300 characters, without git's prefixes and a final full stop.

    >>> condensed("fatal: no such path.")
    'no such path'
    """
    lines = [line.strip().removeprefix("fatal: ").removeprefix("error: ") for line in text.splitlines()]
    joined = re.sub(r"\s+", " ", "; ".join(line for line in lines if line)).strip()
    return (joined[:300] + "..." if len(joined) > 300 else joined).rstrip(".") or "no reason given"


def call(
    command: Sequence[str], stdin: bytes = b"", limit_s: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program and return its result, whatever its exit status.

    Parameters
    ----------
    command : the program and its arguments
    stdin : what it reads
    limit_s : after so many seconds it is ended, with the exit status ``TIMED_OUT``; None: it may take any time
    """
    words = list(command)
    try:
        # With a limit, the program gets a group of its own, which is ended with all that it started.
        with subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=limit_s is not None,
        ) as child:
            try:
                out, err = child.communicate(stdin, timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
                return subprocess.CompletedProcess(words, TIMED_OUT, b"", b"")
            except BaseException:  # an interruption, as subprocess.run treats it
                child.kill()
                raise
    except FileNotFoundError as error:
        raise _not_found(command[0]) from error
    return subprocess.CompletedProcess(words, child.returncode, out, err)


def _not_found(program: str) -> DatasetError:
    """Return the error for a program that is not installed."""
    return DatasetError(
        f"{program} was not found beside {sys.executable} or on the search path; cordrift needs git (from the "
        "system) and DataLad with git-annex (`pip install datalad git-annex`)."
    )


def _environment() -> dict[str, str]:
    """Return the environment for git and DataLad: variables that :data:`_PASSED` names, and what is granted.

    Programs beside this interpreter come first in the search path, nothing asks questions, and commits have an author.
    """
    env = {name: value for name, value in os.environ.items() if passed(name)} | _granted
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:https:ssh", "DATALAD_UI_PROGRESSBAR": "none"}
    # Git-annex starts ssh by itself: a setting of how git connects shall count for both.
    env |= {"GIT_ANNEX_USE_GIT_SSH": "1"} if {"GIT_SSH", "GIT_SSH_COMMAND"} & env.keys() else {}
    count = int(env.get("GIT_CONFIG_COUNT") or 0)
    for name, value in _IDENTITY.items():
        asked = ["git", "config", "--get", name]
        if not subprocess.run(asked, capture_output=True, env=env, check=False).stdout.strip():
            env |= {f"GIT_CONFIG_KEY_{count}": name, f"GIT_CONFIG_VALUE_{count}": value}
            count += 1
            env["GIT_CONFIG_COUNT"] = str(count)
    return env
