"""Run a workflow file here: its jobs in the order of their needs, their steps as GitHub would run them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from actions import document, values
from actions.caches import State
from actions.checkout import git
from actions.context import RunContext
from actions.errors import StepError
from actions.event import github_context, inputs_of, ref_of
from actions.expressions import evaluate
from actions.functions import PURE
from actions.jobs import failed, run_job
from actions.matrix import members
from actions.results import JobResult, Run, combined
from actions.secrets import Secrets
from actions.template import condition, fill
from actions.workflow import read_workflow

# Like a token of GitHub in form, so that one in a log is recognised.
TOKEN = "ghs_local-token-of-the-run"  # noqa: S105


class _Schedule:
    """Jobs that wait, run and are over."""

    def __init__(self, run: RunContext, parallel: int) -> None:
        self.run, self.jobs = run, run.data["jobs"]
        self.over: dict[str, list[JobResult]] = {}
        self.running: dict[Future[JobResult], str] = {}
        self.stops: dict[str, threading.Event] = {}
        self.pool = ThreadPoolExecutor(parallel)

    def all(self) -> list[JobResult]:
        with self.pool:
            try:
                while self.start_ready() or self.running:
                    self.collect()
            except BaseException:
                for stop in self.stops.values():
                    stop.set()
                raise
        return [result for name in self.jobs for result in self.over[name]]

    def start_ready(self) -> bool:
        """Start or skip every job whose needs are over; tell whether there was one."""
        waiting = [name for name in self.jobs if name not in self.over and name not in self.stops]
        ready = [name for name in waiting if all(self.is_over(need) for need in document.needs(self.jobs[name]))]
        for name in ready:
            self.start(name)
        return bool(ready)

    def is_over(self, name: str) -> bool:
        return name in self.over and name not in self.running.values()

    def result(self, name: str) -> str:
        return combined([one.result for one in self.over[name]])

    def start(self, name: str) -> None:
        body = self.jobs[name]
        contexts = self.run.contexts | {"needs": self.needs(name)}
        above = [self.result(job) for job in document.ancestors(self.jobs, name)]
        functions = PURE | {
            "always": lambda: True,
            "success": lambda: all(result == "success" for result in above),
            "failure": lambda: "failure" in above,
            "cancelled": lambda: False,
        }
        self.stops[name] = threading.Event()
        self.over[name] = []
        if not values.truthy(evaluate(condition(body.get("if")), contexts, functions)):
            self.over[name] = [JobResult(name, {}, "skipped")]
            return
        strategy = fill(body.get("strategy") or {}, contexts, PURE)
        try:
            matrix = members(strategy.get("matrix"))
        except StepError as error:
            self.over[name] = [failed(name, error)]
            return
        gate = threading.Semaphore(int(strategy.get("max-parallel") or len(matrix)))
        shared = {"total": len(matrix), "fail-fast": strategy.get("fail-fast", True)}
        for index, one in enumerate(matrix):
            place = shared | {"matrix": one, "index": index}
            self.running[self.pool.submit(self.member, name, place, contexts["needs"], gate)] = name

    def member(self, name: str, place: Mapping[str, Any], needs: Any, gate: threading.Semaphore) -> JobResult:
        with gate:
            result = run_job(self.run, name, place, needs, self.stops[name])
        if result.result == "failure" and place["fail-fast"]:
            self.stops[name].set()
        return result

    def needs(self, name: str) -> dict[str, Any]:
        found = {}
        for need in document.needs(self.jobs[name]):
            outputs: dict[str, str] = {}
            for one in self.over[need]:
                outputs |= {key: value for key, value in one.outputs.items() if value or key not in outputs}
            found[need] = {"result": self.result(need), "outputs": outputs}
        return found

    def collect(self) -> None:
        if not self.running:
            return
        for future in wait(self.running, return_when=FIRST_COMPLETED).done:
            name = self.running.pop(future)
            self.over[name] = sorted([*self.over[name], future.result()], key=lambda one: one.index)


def run_workflow(
    path: Path,
    *,
    source: Path,
    folder: Path,
    event_name: str = "push",
    event: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    token: str = TOKEN,
    repository: str = "lab/cordrift",
    ref_name: str | None = None,
    sha: str | None = None,
    run_id: str = "1",
    run_attempt: str = "1",
    server_url: str = "https://github.com",
    api_url: str = "https://api.github.com",
    state: State | None = None,
    parallel: int = 2,
    minute_seconds: float = 60.0,
    after_checkout: Callable[[Path], None] | None = None,
) -> Run:
    """Run a workflow file and return what came of it.

    Args:
        path: The workflow file.
        source: What actions/checkout copies: a repository (its commit ``sha``) or a plain folder.
        folder: Where the run may write; must not exist or be empty.
        event_name: What started the run, with its payload ``event``; a release needs ``release.tag_name`` in it.
        event: The payload.
        inputs: Inputs of ``workflow_dispatch``.
        secrets: Secrets; ``GITHUB_TOKEN`` is always ``token``.
        variables: What the context ``vars`` holds.
        environment: What the runner's machine has in its environment, beside a PATH and folders of the job's own.
        token: ``github.token`` and ``secrets.GITHUB_TOKEN``; in no environment unless the workflow passes it.
        repository: ``owner/name``.
        ref_name: A branch, or a full ref (``refs/tags/v1``); a release is on its tag.
        sha: The commit; that of ``source`` when it is a repository.
        run_id: ``GITHUB_RUN_ID``.
        run_attempt: ``GITHUB_RUN_ATTEMPT``.
        server_url: ``GITHUB_SERVER_URL``.
        api_url: ``GITHUB_API_URL``, for a server on this machine.
        state: Caches of earlier runs; none unless given.
        parallel: How many jobs run side by side.
        minute_seconds: How long a minute of ``timeout-minutes`` lasts, in seconds.
        after_checkout: Called with each tree that was checked out.

    Raises:
        WorkflowError: the workflow is wrong, or uses what is not emulated.
    """
    data = read_workflow(path)
    event = event or {}
    given = inputs_of(data, event_name, event, inputs or {})
    if event_name == "workflow_dispatch":
        event = {**event, "inputs": given}
    if sha is None:
        sha = git(source, "rev-parse", "HEAD").strip() if (source / ".git").exists() else "0" * 40
    folder.mkdir(parents=True, exist_ok=True)
    github = github_context(
        data,
        path.name,
        event_name,
        event,
        ref=ref_of(event_name, event, ref_name),
        sha=sha,
        token=token,
        repository=repository,
        run_id=run_id,
        run_attempt=run_attempt,
        server_url=server_url,
        api_url=api_url,
    )
    kept = Secrets(secrets or {}, token)
    run = RunContext(
        data,
        source,
        folder,
        state or State(folder / "caches"),
        {"github": github, "inputs": given, "vars": dict(variables or {})},
        kept,
        {"PATH": os.environ["PATH"], **(environment or {})},
        minute_seconds,
        after_checkout,
    )
    results = _Schedule(run, parallel).all()
    name = data.get("name") or path.name
    return Run(name, folder, results, run.artifacts, run.attestations, run.used, _concurrency(run), kept)


def _concurrency(run: RunContext) -> dict[str, dict[str, Any]]:
    """Return the groups of the workflow (under an empty name) and of jobs that have one without a matrix."""
    found = {}
    places = {"": run.data} | run.data["jobs"]
    for place, body in places.items():
        if "concurrency" in body and "strategy" not in body:
            value = fill(body["concurrency"], run.contexts | {"needs": {}, "matrix": {}, "strategy": {}}, PURE)
            found[place] = value if isinstance(value, dict) else {"group": value, "cancel-in-progress": False}
    return found
