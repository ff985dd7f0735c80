"""A workflow file as data: YAML as GitHub reads it, and only keys that are emulated."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from actions.errors import WorkflowError

WORKFLOW_KEYS = {"name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"}
JOB_KEYS = {"name", "needs", "if", "runs-on", "permissions", "env", "defaults", "strategy", "steps", "outputs"}
JOB_KEYS |= {"timeout-minutes", "concurrency", "environment"}
STEP_KEYS = {"id", "name", "if", "uses", "with", "run", "env", "shell", "working-directory", "continue-on-error"}
STEP_KEYS |= {"timeout-minutes"}
STRATEGY_KEYS = {"matrix", "fail-fast", "max-parallel"}


class _Loader(yaml.SafeLoader):
    """YAML 1.2: ``on`` is a text, ``010`` and ``1:30`` are none of YAML 1.1's numbers; a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise WorkflowError(f"line {node.start_mark.line + 1}: {sorted(map(str, twice))} stands twice")
        return super().construct_mapping(node, deep)

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        return int(self.construct_scalar(node))


_Loader.yaml_implicit_resolvers = {}
for _tag, _form in {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "null": r"~|null|Null|NULL|",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})$"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)


def load(path: Path) -> dict[str, Any]:
    """Read a workflow file.

    Raises:
        WorkflowError: it is no workflow, or has a key that is not emulated.
    """
    data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    if not isinstance(data, dict) or not isinstance(data.get("jobs"), dict) or "on" not in data:
        raise WorkflowError(f"{path.name}: a workflow has 'on' and 'jobs'")
    _only(WORKFLOW_KEYS, data, path.name)
    for job, body in data["jobs"].items():
        where = f"{path.name}: job {job}"
        _only(JOB_KEYS, body, where)
        _only(STRATEGY_KEYS, body.get("strategy") or {}, f"{where}: strategy")
        for need in needs(body):
            if need not in data["jobs"]:
                raise WorkflowError(f"{where} needs {need!r}, which is no job of {', '.join(data['jobs'])}")
        for number, step in enumerate(body.get("steps") or []):
            _only(STEP_KEYS, step, f"{where}: step {number + 1}")
            if ("run" in step) == ("uses" in step):
                raise WorkflowError(f"{where}: step {number + 1} must have one of 'run' and 'uses'")
    return data


def needs(job: Mapping[str, Any]) -> list[str]:
    """Return the names of the jobs that a job waits for."""
    named = job.get("needs") or []
    return [named] if isinstance(named, str) else list(named)


def ancestors(jobs: Mapping[str, Any], name: str) -> set[str]:
    """Return every job that a job waits for, directly or not."""
    direct = needs(jobs[name])
    return set(direct).union(*(ancestors(jobs, need) for need in direct)) if direct else set()


def order(jobs: Mapping[str, Any]) -> list[str]:
    """Return the jobs so that each comes after those it needs.

    Raises:
        WorkflowError: jobs need each other in a circle.
    """
    done: list[str] = []
    while len(done) < len(jobs):
        free = [name for name in jobs if name not in done and set(needs(jobs[name])) <= set(done)]
        if not free:
            raise WorkflowError(f"jobs need each other in a circle: {sorted(set(jobs) - set(done))}")
        done += free
    return done


def triggers(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the events of ``on`` with what is said of each."""
    on = data["on"]
    if isinstance(on, str):
        return {on: {}}
    return {name: {} for name in on} if isinstance(on, list) else {name: body or {} for name, body in on.items()}


def _only(known: Iterable[str], body: Mapping[str, Any], where: str) -> None:
    unknown = sorted(set(map(str, body)) - set(known))
    if unknown:
        raise WorkflowError(f"{where}: {unknown} is not emulated; known are {sorted(known)}")
