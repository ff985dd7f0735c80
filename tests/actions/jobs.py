"""One job, or one member of its matrix: its steps in order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any

from actions import values
from actions.context import JobContext, RunContext
from actions.errors import StepError
from actions.expressions import evaluate
from actions.functions import PURE, hash_files
from actions.permissions import granted
from actions.processes import kill_orphans
from actions.results import JobResult, StepResult
from actions.steps import Ended, minutes, prepare, run_step, tracking_id
from actions.template import condition, fill

GRACE_MINUTES = 5.0


class _Job:
    def __init__(
        self, run: RunContext, name: str, place: Mapping[str, Any], needs: Mapping[str, Any], stop: threading.Event
    ):
        self.run, self.body, self.stop = run, run.data["jobs"][name], stop
        folder = run.folder / "jobs" / f"{name}-{place['index']}"
        self.job = JobContext(run, name, folder, granted(run.data, self.body))
        self.result = JobResult(
            name, dict(place["matrix"]), "success", place["index"], permissions=self.job.permissions
        )
        self.masks: list[str] = []
        prepare(self.job)
        self.contexts = run.contexts | {
            "github": run.github | {"job": name, "workspace": str(self.job.workspace)},
            "needs": needs,
            "matrix": place["matrix"],
            "strategy": {"job-index": place["index"], "job-total": place["total"], "fail-fast": place["fail-fast"]},
            "secrets": run.secrets.values,
            "steps": {},
            "runner": {"os": "Linux", "arch": "X64", "temp": str(folder / "temp"), "name": "local"},
            "env": {},
        }
        # A job's env is evaluated with that of the workflow at hand, though not as a context.
        for source in (run.data.get("env") or {}, self.body.get("env") or {}):
            self.job.environment |= self.texts(source)
        limit = minutes(fill(self.body.get("timeout-minutes", 360), self.contexts, PURE))
        self.begin = monotonic()
        self.end = self.begin + limit * run.minute_seconds

    def texts(self, source: Mapping[str, Any]) -> dict[str, str]:
        return {name: values.text(value) for name, value in fill(source, self.contexts, self.functions()).items()}

    def functions(self) -> dict[str, Any]:
        status = self.result.result
        return PURE | {
            "always": lambda: True,
            "success": lambda: status == "success",
            "failure": lambda: status == "failure",
            "cancelled": lambda: status == "cancelled",
            "hashfiles": lambda *patterns: hash_files(self.job.workspace, *patterns),
        }

    def steps(self) -> JobResult:
        for number, step in enumerate(self.body["steps"], 1):
            self.one(number, self.with_defaults(step))
        if self.result.result == "success":
            for action in reversed(self.job.after):
                self.job.said.clear()
                action()
                self.result.message += "\n".join(self.job.said) + "\n"
        outputs = self.texts(self.body.get("outputs") or {})
        for name, value in outputs.items():
            if self.run.secrets.found_in(value):
                self.result.message += f"Warning: Skip output '{name}' since it may contain secret.\n"
            else:
                self.result.outputs[name] = value
        self.result.seconds = monotonic() - self.begin
        self.result.workspace = self.job.workspace
        self.result.summary = self.run.secrets.mask(self.result.raw_summary, self.masks)
        return self.result

    def with_defaults(self, step: Mapping[str, Any]) -> dict[str, Any]:
        if "run" not in step:
            return dict(step)
        found: dict[str, Any] = {}
        for level in (self.run.data, self.body):
            found |= fill((level.get("defaults") or {}).get("run") or {}, self.contexts, self.functions())
        return found | dict(step)

    def one(self, number: int, step: dict[str, Any]) -> None:
        if self.stop.is_set():
            self.result.result = "cancelled"
        self.contexts["job"] = {"status": self.result.result}
        self.contexts["env"] = dict(self.job.environment)
        self.contexts["env"] |= self.texts(step.get("env") or {})
        functions = self.functions()
        title = step.get("name") or step.get("uses") or step["run"].strip().splitlines()[0]
        name = values.text(fill(title, self.contexts, functions))
        found = StepResult(name, step.get("id"), "skipped", "skipped")
        if values.truthy(evaluate(condition(step.get("if")), self.contexts, functions)):
            begin = monotonic()
            found.outcome = self.ran(number, step, found, functions)
            found.seconds = monotonic() - begin
            forgiven = values.truthy(fill(step.get("continue-on-error"), self.contexts, functions))
            found.conclusion = "success" if found.outcome == "failure" and forgiven else found.outcome
            if found.conclusion in ("failure", "cancelled") and self.result.result == "success":
                self.result.result = found.conclusion
        self.result.steps.append(found)
        if found.id:
            self.contexts["steps"][found.id] = {
                "outputs": found.outputs,
                "outcome": found.outcome,
                "conclusion": found.conclusion,
            }

    def ran(self, number: int, step: dict[str, Any], found: StepResult, functions: Mapping[str, Any]) -> str:
        limit = self.end - monotonic()
        stop = self.stop
        if self.result.result == "cancelled":
            limit, stop = GRACE_MINUTES * self.run.minute_seconds, threading.Event()
        own = step.get("timeout-minutes")
        seconds = minutes(fill(own, self.contexts, functions)) * self.run.minute_seconds if own is not None else limit
        ended: Ended = run_step(
            self.job, step, number, self.contexts, functions, seconds=min(seconds, limit), stop=stop
        )
        self.masks += ended.masks
        found.raw, found.outputs = ended.raw, ended.outputs
        self.result.raw_summary += ended.summary
        outcome = ended.outcome
        if outcome == "timeout":
            outcome = "failure" if seconds < limit else "cancelled"
            found.raw += f"\nError: timed out after {min(seconds, limit):.1f} s"
        found.log = self.run.secrets.mask(found.raw, self.masks)
        return outcome


def run_job(
    run: RunContext, name: str, place: Mapping[str, Any], needs: Mapping[str, Any], stop: threading.Event
) -> JobResult:
    """Run one member of a job in folders of its own.

    Args:
        run: The run.
        name: The job's id.
        place: ``matrix``, ``index``, ``total`` and ``fail-fast``.
        needs: The context ``needs``.
        stop: Set when the job is to be cancelled.
    """
    if stop.is_set():
        return JobResult(name, dict(place["matrix"]), "cancelled", place["index"])
    job = _Job(run, name, place, needs, stop)
    try:
        return job.steps()
    finally:
        job.result.orphans = kill_orphans(tracking_id(job.job))


def failed(name: str, error: StepError) -> JobResult:
    """Return the result of a job that failed before its first step."""
    return JobResult(name, {}, "failure", message=f"Error: {error}")
