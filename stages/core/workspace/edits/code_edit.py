"""Accepting an edit of the code that changes no output, so that DVC runs nothing again.

DVC keeps hashes of the code that made an output, and a comment is part of a file: an edit of it would train again. The
text itself stands in git: in the commit in which ``dvc.lock`` was last written, or in an earlier one, which is found by
its hash. The syntax of that code is compared with the syntax of the code here. Only when they agree does ``dvc commit``
record the new hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import PipelineError, SettingsError, did_you_mean
from ...base.params import load_yaml
from ...base.syntax import syntax
from ...data.clones.programs import git
from ..runs.workspace import ask_dvc

#: Where the code lies. Everything else that a stage depends on is data or params.
CODE = "stages/"
#: What `dvc status` says of a stage that runs every time, whatever its inputs are.
_EVERY_TIME = "always changed"

#: Says why the code of a stage is not the code that its lock knew, or returns an empty string. It is given the stage's
#: entry of the lock and the paths of code that have changed.
Objection = Callable[[Mapping[str, Any], Sequence[str]], str]


def commit_edit(root: Path, stages: Sequence[str]) -> list[str]:
    """Record that edits of comments, docstrings and layout change no output of the stages; returns their names.

    Parameters
    ----------
    root : a checkout of cordrift, in which ``dvc.lock`` is tracked by git
    stages : names of dvc.yaml (``train``) or of one instance (``train@0``); without any, every stage with edited code

    Raises
    ------
    PipelineError
        The tree holds changes that are not committed, ``dvc.lock`` is not tracked, or more than comments, docstrings
        and layout has changed in one of the stages. Nothing is recorded then.
    """
    require_lock(root)
    _refuse_uncommitted(root)
    commit = git(root, ["log", "-1", "--format=%H", "--", "dvc.lock"]).strip()
    if not commit:
        raise PipelineError(
            f"git knows no commit of {root.resolve() / 'dvc.lock'}: without one, nothing says which text the code had "
            "when the outputs were made. Commit dvc.lock after each `dvc repro`."
        )
    return commit_stages(root, stages, lambda entry, paths: _edited_beyond_words(root, commit, entry, paths))


def require_lock(root: Path) -> None:
    """Refuse a folder in which DVC has recorded nothing.

    Raises
    ------
    SettingsError
        ``dvc.yaml`` or ``dvc.lock`` is missing.
    """
    for name in ("dvc.yaml", "dvc.lock"):
        if not (root / name).is_file():
            raise SettingsError(
                f"{root.resolve()} has no {name}: run this in the folder of a checkout or workspace of cordrift in "
                "which `dvc repro` has run."
            )


def commit_stages(root: Path, stages: Sequence[str], objection: Objection) -> list[str]:
    """Commit stages to DVC when nothing but their code has changed and there is no objection to that code.

    Parameters
    ----------
    root, stages : as :func:`commit_edit`
    objection : is asked for each stage

    Raises
    ------
    PipelineError
        More has changed in one of the stages. Nothing is recorded then.
    """
    chosen, lock = _choose(root, stages), _lock(root)
    refused = []
    for stage, changes in chosen.items():
        why = _beyond_code(changes) or objection(lock[stage], _code_paths(changes))
        if why:
            refused.append(f"{stage}: {why}")
    if refused:
        raise PipelineError(
            f"nothing was recorded, because an output may be another now. {'; '.join(refused)}. `dvc repro` runs these "
            "stages again; `cordrift commit-edit STAGE` records others alone."
        )
    if chosen:
        ask_dvc(root, "commit", "--force", *chosen)
    return list(chosen)


def _choose(root: Path, stages: Sequence[str]) -> dict[str, list[Any]]:
    """Return the stages to record with what `dvc status` says of them: those that are named, or those with new code."""
    status: dict[str, list[Any]] = json.loads(ask_dvc(root, "status", "--json"))
    known = _lock(root)
    changed = {
        stage: [change for change in changes if change != _EVERY_TIME]
        for stage, changes in status.items()
        if stage in known
    }
    if not stages:
        return {stage: changes for stage, changes in changed.items() if _code_paths(changes)}
    chosen: dict[str, list[Any]] = {}
    for name in stages:
        instances = [stage for stage in known if name in (stage, stage.partition("@")[0])]
        if not instances:
            verbs = sorted({stage.partition("@")[0] for stage in known})
            raise SettingsError(
                f"dvc.lock has no stage {name!r}{did_you_mean(name, [*known, *verbs])}; it has {', '.join(verbs)}."
            )
        chosen |= {stage: changed[stage] for stage in instances if changed.get(stage)}
    return chosen


def _code_paths(changes: Sequence[Any]) -> list[str]:
    """Return the paths of code among the changed inputs of a stage."""
    return [path for path, _ in _inputs(changes) if path.startswith(CODE)]


def _beyond_code(changes: Sequence[Any]) -> str:
    """Say what has changed besides the code, or return an empty string."""
    said = [str(change) for change in changes if not isinstance(change, Mapping)]
    said += [f"{path}: {state}" for path, state in _inputs(changes) if not path.startswith(CODE)]
    for change in changes:
        outputs = change.get("changed outs", {}) if isinstance(change, Mapping) else {}
        said += [f"the output {path}: {state}" for path, state in outputs.items()]
    return ", ".join(said)


def _inputs(changes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for change in changes:
        inputs = change.get("changed deps", {}) if isinstance(change, Mapping) else {}
        for path, state in inputs.items():
            if isinstance(state, dict):  # of params, DVC lists each value that has changed
                state = ", ".join(f"{key} {what}" for key, what in state.items())
            yield path, state


def _refuse_uncommitted(root: Path) -> None:
    changed = [line[3:] for line in git(root, ["status", "--porcelain"]).splitlines()]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise PipelineError(
            f"{root.resolve()} holds changes that are not committed ({', '.join(changed[:3])}{more}): commit them "
            "first, so that the record of what made each output stays true."
        )


def _lock(root: Path) -> dict[str, Any]:
    """Return the stages of ``dvc.lock`` by name."""
    stages: dict[str, Any] = (load_yaml(root / "dvc.lock") or {}).get("stages") or {}
    return stages


def _edited_beyond_words(root: Path, commit: str, locked: Mapping[str, Any], paths: Sequence[str]) -> str:
    """Say what in the code is not the syntax that the lock knew, or return an empty string."""
    known = {entry["path"]: entry["md5"] for entry in locked["deps"]}
    for path in paths:
        here, before = files_in_folder(root, path), _before(root, commit, path, known.get(path))
        if before is None:
            return (
                f"no commit up to {commit[:12]}, which last wrote dvc.lock, holds the code of {path} that made the "
                "outputs (in a shallow clone, fetch the whole history first)"
            )
        if before.keys() != here.keys():
            return f"files of {path} were added, removed or renamed: {', '.join(sorted(before.keys() ^ here.keys()))}"
        for name, content in before.items():
            if _meaning(name, content) != _meaning(name, here[name]):
                return f"the code of {name} has changed since it made the outputs"
    return ""


def _before(root: Path, commit: str, path: str, locked: str | None) -> dict[str, bytes] | None:
    """Return the files of a path as the lock knew them: at the commit of the lock, or at an earlier one of the path."""
    earlier = git(root, ["log", "--format=%H", commit, "--", path]).split()
    for one in [commit, *earlier]:
        files = _at_commit(root, one, path)
        if _dvc_hash(path, files) == locked:
            return files
    return None


def _meaning(name: str, content: bytes) -> object:
    """Return what decides outputs: the syntax of Python code, and of other files every byte."""
    if not name.endswith(".py"):
        return content
    try:
        return syntax(content, imports_in_place=True)
    except (SyntaxError, ValueError):  # not Python at all
        return content


def _at_commit(root: Path, commit: str, path: str) -> dict[str, bytes]:
    """Return the files of a path at a commit, by name."""
    names = git(root, ["ls-tree", "-r", "-z", "--name-only", commit, "--", path]).split("\0")
    return {name: git(root, ["show", f"{commit}:{name}"]).encode(errors="surrogateescape") for name in names if name}


def files_in_folder(root: Path, path: str) -> dict[str, bytes]:
    """Return the files of a path in the working tree, by name, without those that Python writes itself."""
    found = [root / path] if (root / path).is_file() else sorted((root / path).rglob("*"))
    files = [file for file in found if file.is_file() and "__pycache__" not in file.parts]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def _dvc_hash(path: str, files: Mapping[str, bytes]) -> str:
    """Return what DVC writes into its lock for a file, or for a folder with these files."""
    digests = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in files.items()}
    if list(digests) == [path]:
        return digests[path]
    rows = [{"md5": digest, "relpath": name.removeprefix(path + "/")} for name, digest in sorted(digests.items())]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
