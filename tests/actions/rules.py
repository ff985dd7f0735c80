"""What holds for every workflow file of this repository, beside what the linters know.

Each rule takes a workflow as data and its text, and yields a sentence for each place that breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from actions.checks import references
from actions.document import needs, triggers

Rule = Callable[[Mapping[str, Any], str], Iterator[str]]
PINNED = re.compile(r"uses:\s*\S+@[0-9a-f]{40}\s+#\s*v\d+(\.\d+)*\s*$")
SECRETS = re.compile(r"\bsecrets\b", re.IGNORECASE)
NAMED = re.compile(r"\bsecrets\.[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE)


def _jobs(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from data["jobs"].items()


def _steps(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for job, body in _jobs(data):
        for number, step in enumerate(body.get("steps") or [], 1):
            yield f"job {job}, step {number}", step


def _expressions(value: Any) -> str:
    """Return the text of all expressions below a value, conditions included."""
    return " ".join(re.findall(r"\$\{\{.*?\}\}", str(value), re.DOTALL))


def _writes(body: Mapping[str, Any]) -> bool:
    granted = body.get("permissions")
    return isinstance(granted, dict) and granted.get("contents") == "write"


def grants_stand_at_jobs(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """The workflow grants nothing; each job says what it needs."""
    if data.get("permissions") != {}:
        yield "top-level permissions must be {}"
    for job, body in _jobs(data):
        if not isinstance(body.get("permissions"), dict):
            yield f"job {job}: permissions must be a mapping of scopes"


def time_is_limited(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Each job has a time limit."""
    yield from (f"job {job}: no timeout-minutes" for job, body in _jobs(data) if "timeout-minutes" not in body)


def actions_are_pinned(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Each action is pinned by a full SHA, with its version in a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*(-\s+)?uses:", line) and not PINNED.search(line):
            yield f"line {number}: {line.strip()!r} is not '@<40 digits> # v<version>'"


def scripts_hold_no_expression(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """No expression is pasted into a script: values come through ``env``."""
    yield from (f"{where}: ${{{{ }}}} in run" for where, step in _steps(data) if "${{" in step.get("run", ""))


def checkouts_keep_no_token(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """A checkout leaves no token behind."""
    for where, step in _steps(data):
        kept = (step.get("with") or {}).get("persist-credentials", True)
        if step.get("uses", "").startswith("actions/checkout@") and kept is not False:
            yield f"{where}: persist-credentials must be false"


def runs_are_ordered(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Each workflow says what becomes of two runs at once."""
    if "group" not in (data.get("concurrency") or {}):
        yield "no concurrency group"


def one_job_publishes(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """One job at most writes to the repository; it waits for others, and takes nothing from a cache."""
    writers = [job for job, body in _jobs(data) if _writes(body)]
    if len(writers) > 1:
        yield f"contents: write in {len(writers)} jobs: {', '.join(writers)}"
        return
    for job in writers:
        body = data["jobs"][job]
        if not needs(body):
            yield f"job {job} writes to the repository and needs no job that made what it publishes"
        for step in body.get("steps") or []:
            if step.get("uses", "").startswith("actions/cache") or "cache" in (step.get("with") or {}):
                yield f"job {job} writes to the repository and uses a cache"


def identity_or_secrets(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """A job that can prove its identity reads no secret."""
    for job, body in _jobs(data):
        granted = body.get("permissions")
        named = {name.lower() for name in NAMED.findall(_expressions(body))} - {"secrets.github_token"}
        if isinstance(granted, dict) and granted.get("id-token") == "write" and named:
            yield f"job {job}: id-token: write beside {sorted(named)}"


def secrets_reach_single_steps(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """A secret is named, and reaches one step's ``env`` or ``with``, never a whole job."""
    if SECRETS.search(_expressions(data.get("env"))):
        yield "secrets in the workflow's env"
    for job, body in _jobs(data):
        if SECRETS.search(_expressions({key: value for key, value in body.items() if key != "steps"})):
            yield f"job {job}: secrets outside of a step"
    found = _expressions(data["jobs"])
    if len(SECRETS.findall(found)) != len(NAMED.findall(found)):
        yield "secrets without a name"


def strangers_meet_no_secret(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Nothing that a stranger can start runs with rights of the repository."""
    on = triggers(data)
    yield from (f"on: {event}" for event in ("pull_request_target", "workflow_run", "issue_comment") if event in on)
    if "pull_request" in on and (named := references(data, "secrets")):
        yield f"a pull request reads {sorted(named)}"


RULES: list[Rule] = [
    grants_stand_at_jobs,
    time_is_limited,
    actions_are_pinned,
    scripts_hold_no_expression,
    checkouts_keep_no_token,
    runs_are_ordered,
    one_job_publishes,
    identity_or_secrets,
    secrets_reach_single_steps,
    strangers_meet_no_secret,
]
