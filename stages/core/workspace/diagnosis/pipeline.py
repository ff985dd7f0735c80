"""Checks of DVC: its remotes, its cache, and the stages that it would run. Nothing is run or written."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..runs.workspace import ask_dvc
from .check import DoctorCheck
from .software import installed

#: Scheme of a remote's address -> the package that DVC needs for it.
_PLUGINS = {"s3": "dvc-s3", "gs": "dvc-gs", "azure": "dvc-azure", "ssh": "dvc-ssh"}
_EDGE = re.compile(r'^"(?P<first>[^"]+)" -> "(?P<then>[^"]+)";$')


def dvc_settings(workspace: Path) -> dict[str, str]:
    """Return the settings from all configuration files of DVC by key, such as ``remote.lab.url``."""
    rows = (line.partition("=") for line in ask_dvc(workspace, "config", "--list").splitlines())
    return {key: value for key, _, value in rows}


def cache_folder(workspace: Path, config: Mapping[str, str]) -> Path:
    """Return the folder in which DVC caches outputs. A relative path in the settings starts in ``.dvc``."""
    return workspace / ".dvc" / config.get("cache.dir", "cache")


def check_remotes(workspace: Path, config: Mapping[str, str]) -> Iterator[DoctorCheck]:
    """Tell the version of DVC and the remotes to which `dvc push` copies outputs."""
    yield DoctorCheck("DVC", "ok", installed("dvc") or "of unknown version")
    urls = {key.split(".")[1]: value for key, value in config.items() if re.fullmatch(r"remote\.[^.]+\.url", key)}
    if not urls:
        advice = "to share them: `dvc remote add --default NAME FOLDER` or `... s3://BUCKET/FOLDER`, then `dvc push`"
        yield DoctorCheck("DVC remote", "ok", "none: outputs stay on this machine", advice)
    for name, url in urls.items():
        mark = " (default)" if config.get("core.remote") == name else ""
        check = _check_remote(workspace, f"DVC remote {name}", url, mark)
        if check.state == "ok" and config.get(f"remote.{name}.verify", "").lower() != "true":
            found = f"{check.found}, and DVC believes what it holds without hashing it"
            check = DoctorCheck(check.name, "warning", found, f"`dvc remote modify {name} verify true`")
        yield check


def _check_remote(workspace: Path, name: str, url: str, mark: str) -> DoctorCheck:
    scheme = url.partition("://")[0] if "://" in url else ""
    plugin = _PLUGINS.get(scheme)
    if plugin and installed(plugin) is None:
        way = "cordrift[s3]" if scheme == "s3" else plugin
        return DoctorCheck(name, "warning", f"{url}{mark}, but {plugin} is not installed", f"`pip install '{way}'`")
    if not scheme and not (workspace / ".dvc" / url).is_dir():
        advice = "the first `dvc push` creates it; if it existed before, mount its disk"
        return DoctorCheck(name, "warning", f"{url}{mark}: there is no such folder", advice)
    return DoctorCheck(name, "ok", f"{url}{mark}" + (", not contacted" if scheme else ""))


def downstream(changed: Iterable[str], graph: str) -> list[str]:
    """Return the stages that depend on changed stages, directly or not, without the changed ones.

    ``graph`` is the output of `dvc dag --dot`.
    """
    edges = [match.group("first", "then") for line in graph.splitlines() if (match := _EDGE.match(line.strip()))]
    start = set(changed)
    reached = set(start)
    while new := {then for first, then in edges if first in reached} - reached:
        reached |= new
    return sorted(reached - start)


def counted(stages: Iterable[str]) -> str:
    """Return how many stages there are of each kind, in the order given: ``fetch 2, prepare 1``."""
    return ", ".join(f"{word} {count}" for word, count in Counter(name.split("@")[0] for name in stages).items())


def would_run(status: Mapping[str, Sequence[object]], graph: str) -> DoctorCheck:
    """Return the check that tells what `dvc repro` would run.

    A changed stage runs; a stage that depends on it runs if the new output differs from the old one.

    Parameters
    ----------
    status : stage -> why it changed, as `dvc status --json` prints it
    graph : the output of `dvc dag --dot`
    """
    stages = [
        line.strip().strip('";') for line in graph.splitlines() if line.strip().endswith('";') and "->" not in line
    ]
    always = [name for name, why in status.items() if list(why) == ["always changed"]]
    changed = [name for name in stages if name in status and name not in always]
    after = set(downstream([*changed, *always], graph)) | set(always)
    if not changed:
        return DoctorCheck("to run", "ok", f"nothing, of {len(stages)} stages; every time: {counted(always) or 'none'}")
    then = counted(name for name in stages if name in after)
    return DoctorCheck("to run", "ok", counted(changed) + (f"; then, if results differ: {then}" if then else ""))


def check_stages(workspace: Path) -> Iterator[DoctorCheck]:
    """Tell what `dvc repro` would run now. This takes about 3 s, because DVC hashes what changed."""
    if not os.access(workspace, os.W_OK):
        yield DoctorCheck(
            "workspace", "problem", f"{workspace.resolve()} is not writable for this user", "change its rights"
        )
        return
    yield would_run(json.loads(ask_dvc(workspace, "status", "--json") or "{}"), ask_dvc(workspace, "dag", "--dot"))


def check_interpreter(program: str = "python") -> Iterator[DoctorCheck]:
    """Check that the shell finds the Python that has cordrift: DVC starts stages as ``python -m ...``."""
    found = shutil.which(program)
    own = Path(sys.executable).parent
    fits = found is not None and Path(found).parent.resolve() == own.resolve()
    where = found or "no python on the search path"
    advice = "" if fits else f"activate the environment (`. {own}/activate`) before `dvc repro`, or use `make repro`"
    yield DoctorCheck("python of stages", "ok" if fits else "warning", where, advice)
