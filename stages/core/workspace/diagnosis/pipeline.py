"""DVC: its remotes, its cache, and which stages have something to do. Nothing is run and nothing written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ...base.errors import CordriftError
from ...data.clones.programs import condensed
from ..runs.workspace import dvc_environment
from .check import Check
from .software import installed

#: Package that a remote's address needs beside DVC.
_PLUGINS = {"s3": "dvc-s3", "gs": "dvc-gs", "azure": "dvc-azure", "ssh": "dvc-ssh"}
_EDGE = re.compile(r'^"(?P<first>[^"]+)" -> "(?P<then>[^"]+)";$')


def ask(workspace: Path, *words: str) -> str:
    """Run a DVC command that only looks, and return its output.

    Raises
    ------
    CordriftError
        It failed; with its own last words.
    """
    command = [sys.executable, "-m", "dvc", *words]
    env = dvc_environment(DVC_NO_ANALYTICS="1")
    done = subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr]
        raise CordriftError(f"`dvc {' '.join(words)}` failed: {condensed(said[0].removeprefix('ERROR:'))}.")
    return done.stdout


def settings(workspace: Path) -> dict[str, str]:
    """DVC's own settings, of all its files together, by key (``remote.lab.url``)."""
    rows = (line.partition("=") for line in ask(workspace, "config", "--list").splitlines())
    return {key: value for key, _, value in rows}


def cache_of(workspace: Path, config: Mapping[str, str]) -> Path:
    """Where DVC keeps the outputs; a relative setting counts from ``.dvc``."""
    return workspace / ".dvc" / config.get("cache.dir", "cache")


def remotes(workspace: Path, config: Mapping[str, str]) -> Iterator[Check]:
    """Version of DVC and where `dvc push` takes the outputs."""
    yield Check("DVC", "ok", installed("dvc") or "of unknown version")
    urls = {key.split(".")[1]: value for key, value in config.items() if re.fullmatch(r"remote\.[^.]+\.url", key)}
    if not urls:
        advice = "to share them: `dvc remote add --default NAME FOLDER` or `... s3://BUCKET/FOLDER`, then `dvc push`"
        yield Check("DVC remote", "ok", "none: outputs stay on this machine", advice)
    for name, url in urls.items():
        mark = " (default)" if config.get("core.remote") == name else ""
        yield _remote(workspace, f"DVC remote {name}", url, mark)


def _remote(workspace: Path, name: str, url: str, mark: str) -> Check:
    scheme = url.partition("://")[0] if "://" in url else ""
    plugin = _PLUGINS.get(scheme)
    if plugin and installed(plugin) is None:
        way = "cordrift[s3]" if scheme == "s3" else plugin
        return Check(name, "warning", f"{url}{mark}, but {plugin} is not installed", f"`pip install '{way}'`")
    if not scheme and not (workspace / ".dvc" / url).is_dir():
        advice = "the first `dvc push` makes it; if it was there, mount its disk"
        return Check(name, "warning", f"{url}{mark}: there is no such folder", advice)
    return Check(name, "ok", f"{url}{mark}" + (", not contacted" if scheme else ""))


def downstream(changed: Iterable[str], graph: str) -> list[str]:
    """Stages that take in what changed ones make, at any distance, without these; ``graph`` as `dvc dag --dot`."""
    edges = [match.group("first", "then") for line in graph.splitlines() if (match := _EDGE.match(line.strip()))]
    start = set(changed)
    reached = set(start)
    while new := {then for first, then in edges if first in reached} - reached:
        reached |= new
    return sorted(reached - start)


def counted(stages: Iterable[str]) -> str:
    """Names of stages by their first word, in the order of the pipeline: ``fetch 2, prepare 1``."""
    return ", ".join(f"{word} {count}" for word, count in Counter(name.split("@")[0] for name in stages).items())


def would_run(status: Mapping[str, Sequence[object]], graph: str) -> Check:
    """Say what `dvc repro` would run: `status` as ``dvc status --json`` gives it, stages by name.

    What changed runs at once; what depends on it runs when the new output differs from the old.
    """
    pipeline = [
        line.strip().strip('";') for line in graph.splitlines() if line.strip().endswith('";') and "->" not in line
    ]
    always = [name for name, why in status.items() if list(why) == ["always changed"]]
    changed = [name for name in pipeline if name in status and name not in always]
    after = set(downstream([*changed, *always], graph)) | set(always)
    if not changed:
        return Check("to run", "ok", f"nothing, of {len(pipeline)} stages; every time: {counted(always) or 'none'}")
    then = counted(name for name in pipeline if name in after)
    return Check("to run", "ok", f"{counted(changed)}" + (f"; then, if results differ: {then}" if then else ""))


def pipeline(workspace: Path) -> Iterator[Check]:
    """What `dvc repro` would run now (about 3 s: DVC hashes what changed)."""
    if not os.access(workspace, os.W_OK):
        yield Check("workspace", "problem", f"{workspace.resolve()} is not writable for this user", "change its rights")
        return
    yield would_run(json.loads(ask(workspace, "status", "--json") or "{}"), ask(workspace, "dag", "--dot"))


def interpreter(program: str = "python") -> Iterator[Check]:
    """Stages are started as ``python -m ...``: the shell must find one that has cordrift."""
    found = shutil.which(program)
    own = Path(sys.executable).parent
    fits = found is not None and Path(found).parent.resolve() == own.resolve()
    where = found or "no python on the search path"
    advice = "" if fits else f"activate the environment (`. {own}/activate`) before `dvc repro`, or use `make repro`"
    yield Check("python of stages", "ok" if fits else "warning", where, advice)
