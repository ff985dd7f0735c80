"""Checks of every expression of a workflow before it runs, also of steps that this run would never reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actions.document import needs, triggers
from actions.errors import WorkflowError
from actions.expressions import STATUS, Node, walk
from actions.template import condition, expressions

# https://docs.github.com/actions/reference/workflows-and-actions/contexts, section "context availability"
OUTSIDE = {"github", "inputs", "vars"}
BEFORE = OUTSIDE | {"needs"}
WITHIN = BEFORE | {"strategy", "matrix"}
RUNNING = WITHIN | {"job", "runner", "env", "secrets", "steps"}
JOB_PLACES = {"if": BEFORE, "strategy": BEFORE, "env": WITHIN | {"secrets"}, "outputs": RUNNING}
JOB_PLACES |= {"defaults": WITHIN | {"env"}}

PROPERTIES = {
    "github": {
        "action",
        "action_path",
        "action_ref",
        "action_repository",
        "actor",
        "actor_id",
        "api_url",
        "base_ref",
        "env",
        "event",
        "event_name",
        "event_path",
        "graphql_url",
        "head_ref",
        "job",
        "job_workflow_sha",
        "path",
        "ref",
        "ref_name",
        "ref_protected",
        "ref_type",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "repositoryurl",
        "retention_days",
        "run_id",
        "run_number",
        "run_attempt",
        "secret_source",
        "server_url",
        "sha",
        "token",
        "triggering_actor",
        "workflow",
        "workflow_ref",
        "workflow_sha",
        "workspace",
    },
    "runner": {"name", "os", "arch", "temp", "tool_cache", "debug", "environment"},
    "strategy": {"fail-fast", "job-index", "job-total", "max-parallel"},
    "job": {"status", "container", "services", "check_run_id"},
}


def check(data: Mapping[str, Any], name: str) -> None:
    """Check every expression: its syntax, the contexts it may use, and the ids of steps and jobs it names.

    Raises:
        WorkflowError: an expression could not be what its author meant.
    """
    for key in ("env", "concurrency", "run-name"):
        allowed = OUTSIDE | ({"secrets"} if key == "env" else set())
        for node in _nodes(data.get(key)):
            _allow(node, allowed, f"{name}: {key}")
    for job, body in data["jobs"].items():
        where = f"{name}: job {job}"
        for key, value in body.items():
            if key == "steps":
                _steps(value, body, where)
            else:
                ids = {step["id"] for step in body.get("steps") or [] if "id" in step}
                for node in _nodes(value, key == "if"):
                    _allow(node, JOB_PLACES.get(key, WITHIN), f"{where}: {key}", status=key == "if")
                    _ids(node, body, ids, f"{where}: {key}")
    dispatched = triggers(data).get("workflow_dispatch", {}).get("inputs") or {}
    unknown = references(data, "inputs") - set(dispatched)
    if unknown:
        raise WorkflowError(f"{name}: no input {sorted(unknown)}; workflow_dispatch has {sorted(dispatched)}")


def _steps(steps: list[dict[str, Any]], job: Mapping[str, Any], where: str) -> None:
    before: set[str] = set()
    for number, step in enumerate(steps):
        here = f"{where}: step {number + 1}"
        for key, value in step.items():
            for node in _nodes(value, key == "if"):
                allowed = RUNNING - {"secrets"} if key == "if" else RUNNING
                _allow(node, allowed, f"{here}: {key}", status=key == "if", files=True)
                _ids(node, job, before, f"{here}: {key}")
        if "id" in step:
            if step["id"] in before:
                raise WorkflowError(f"{here}: the id {step['id']!r} stands twice")
            before.add(step["id"])


def _nodes(value: Any, is_condition: bool = False) -> Iterator[Node]:
    if is_condition:
        yield from walk(condition(value))
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _nodes(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _nodes(entry)
    elif isinstance(value, str):
        for node in expressions(value):
            yield from walk(node)


def _allow(node: Node, contexts: set[str], where: str, *, status: bool = False, files: bool = False) -> None:
    if node.kind == "context" and node.value not in contexts:
        raise WorkflowError(f"{where}: {node.value!r} is no context here; there are {sorted(contexts)}")
    if node.kind == "call" and node.value in STATUS and not status:
        raise WorkflowError(f"{where}: {node.value}() is for 'if' alone")
    if node.kind == "call" and node.value == "hashfiles" and not files:
        raise WorkflowError(f"{where}: hashFiles() is for steps alone")


def _ids(node: Node, job: Mapping[str, Any], steps: set[str], where: str) -> None:
    path = _path(node)
    if len(path) < 2:
        return
    context, key = path[0], path[1].lower()
    if context in PROPERTIES and key not in PROPERTIES[context]:
        raise WorkflowError(f"{where}: {context}.{path[1]} does not exist")
    if context == "steps" and path[1] not in steps:
        raise WorkflowError(f"{where}: no step with id {path[1]!r} before; there are {sorted(steps)}")
    if context == "needs" and path[1] not in needs(job):
        raise WorkflowError(f"{where}: the job does not need {path[1]!r}; it needs {needs(job)}")
    if context == "matrix" and isinstance(axes := (job.get("strategy") or {}).get("matrix") or {}, dict):
        include = axes.get("include")
        members = include if isinstance(include, list) else []
        axis = {*axes, *(name for member in members for name in member)}
        if path[1] not in axis and not isinstance(include, str):
            raise WorkflowError(f"{where}: matrix.{path[1]} does not exist; there are {sorted(axis)}")
    known = {"steps": {"outputs", "outcome", "conclusion"}, "needs": {"outputs", "result"}}.get(context)
    if known and len(path) > 2 and path[2] not in known:
        raise WorkflowError(f"{where}: {'.'.join(path)} does not exist; there are {sorted(known)}")


def _path(node: Node) -> list[str]:
    """Return ``a.b.c`` as names, empty when it is anything else (``a.*.b``, ``a[b.c]``)."""
    if node.kind == "context":
        return [node.value]
    if node.kind == "index" and node.parts[1].kind == "literal" and isinstance(node.parts[1].value, str):
        above = _path(node.parts[0])
        return [*above, node.parts[1].value] if above else []
    return []


def references(data: Mapping[str, Any], context: str) -> set[str]:
    """Return the names that a workflow reads of a context, such as those of its ``secrets`` or ``vars``."""
    found = set()
    for job in data["jobs"].values():
        nodes = [*_nodes({key: value for key, value in job.items() if key not in ("steps", "if")})]
        nodes += _nodes(job["if"], True) if "if" in job else []
        for step in job.get("steps") or []:
            nodes += _nodes({key: value for key, value in step.items() if key != "if"})
            nodes += _nodes(step["if"], True) if "if" in step else []
        found |= {path[1] for node in nodes if len(path := _path(node)) > 1 and path[0] == context}
    top = [*_nodes({key: data.get(key) for key in ("env", "concurrency", "run-name", "permissions")})]
    return found | {path[1] for node in top if len(path := _path(node)) > 1 and path[0] == context}
