"""Run a workflow file: its jobs in an order that their ``needs`` allow, their steps as GitHub's runner runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

from support.actions.document import load, needs, triggers
from support.actions.expressions import Open, fill, holds, text, texts
from support.actions.results import JobResult, Run, StepError, StepResult, WorkflowError
from support.actions.stand_ins import Caches, find_action, git

REPOSITORY = "lab/cordrift"
#: ``github.token`` by what ``contents`` of the job's permissions says. The form is that of GitHub's.
TOKENS = {"read": "ghs_token-that-reads", "write": "ghs_token-that-writes"}
#: Lines of a log that would steer GitHub's runner, such as ``::set-output name=tag::v1``.
COMMAND = re.compile(r"^\s*::(set-output|set-env|add-path|add-mask|save-state|stop-commands)\b.*", re.MULTILINE)


def run_workflow(
    path: Path,
    *,
    source: Path,
    folder: Path,
    event_name: str = "push",
    event: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    tokens: Mapping[str, str] = TOKENS,
    ref: str = "refs/heads/main",
    server_url: str = "https://github.com",
    api_url: str = "https://api.github.com",
    caches: Caches | None = None,
    after_checkout: Callable[[Path], None] | None = None,
) -> Run:
    """Run a workflow file and return what came of it.

    One job runs at a time. Of several that may run, the last in the file does, so that a job whose ``needs`` leaves one
    out comes too early here, as it could on GitHub.

    Args:
        path: The workflow file.
        source: The repository that actions/checkout clones, at its commit HEAD.
        folder: Where the run may write; must not exist or be empty.
        event_name: What started the run.
        event: Its payload; a release has ``action`` and ``release.tag_name``.
        inputs: Inputs of ``workflow_dispatch``.
        secrets: The repository's secrets by name.
        variables: What the context ``vars`` holds.
        environment: What the runner's machine has in its environment, beside a PATH and folders of the job's own.
        tokens: ``github.token`` of a job with ``contents: write`` ("write") and of all others ("read").
        ref: The branch or tag of the run; that of a release is its tag.
        server_url: ``GITHUB_SERVER_URL``.
        api_url: ``GITHUB_API_URL``.
        caches: Caches of earlier runs; none unless given.
        after_checkout: Called with each tree that was checked out.

    Raises:
        WorkflowError: the workflow is wrong, or uses what is not emulated.
    """
    data = load(path)
    event, inputs = Open(event or {}), Open(inputs or {})
    _check_event(triggers(data), event_name, event, inputs)
    if event_name == "release":
        ref = f"refs/tags/{event['release']['tag_name']}"
    contexts: dict[str, Any] = {
        "github": {"event": event, "event_name": event_name, "ref": ref},
        "inputs": inputs,
        "vars": Open(variables or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(
        source=source,
        sha=git(source, "rev-parse", "HEAD").strip(),
        ref=ref,
        folder=folder,
        caches=caches or Caches(folder / "caches"),
        secrets={**(secrets or {}), **{f"token that may {level}": token for level, token in tokens.items()}},
        concurrency=text(fill(data.get("concurrency", {}).get("group"), contexts)),
        after_checkout=after_checkout,
    )
    machine = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": run.sha,
        "GITHUB_REF": ref,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SERVER_URL": server_url,
        "GITHUB_API_URL": api_url,
        **(environment or {}),
    }
    _Runner(run, data, contexts, Open(secrets or {}), tokens, machine).run_jobs()
    return run


def _check_event(on: Mapping[str, Any], name: str, event: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    if name not in on:
        raise WorkflowError(f"the workflow does not run on {name!r}; it runs on {sorted(on)}")
    if event.get("action") not in on[name].get("types", [event.get("action")]):
        raise WorkflowError(f"the workflow runs on {name} of {on[name]['types']}, not of {event.get('action')!r}")
    declared = on[name].get("inputs", {}) if name == "workflow_dispatch" else {}
    required = {key for key, rule in declared.items() if rule.get("required")}
    if not required <= set(inputs) <= set(declared):
        raise WorkflowError(
            f"inputs {sorted(inputs)} were given; {name} has {sorted(declared)}, needs {sorted(required)}"
        )


@dataclass
class _Runner:
    """A run that goes on: what its jobs have in common."""

    run: Run
    data: dict[str, Any]
    contexts: dict[str, Any]
    secrets: Open
    tokens: Mapping[str, str]
    machine: Mapping[str, str]

    def run_jobs(self) -> None:
        jobs, run = self.data["jobs"], self.run
        while len(run.results) < len(jobs):
            waiting = [name for name in jobs if name not in run.results]
            ready = [name for name in waiting if set(needs(jobs[name])) <= set(run.results)]
            if not ready:
                raise WorkflowError(f"the jobs {waiting} need each other in a circle")
            self.run_job(ready[-1])
        run.jobs.sort(key=lambda job: list(jobs).index(job.id))

    def run_job(self, name: str) -> None:
        """Skip a job, or run it once for each member of its matrix."""
        body, results = self.data["jobs"][name], self.run.results
        outputs = {job.id: Open(job.outputs) for job in self.run.jobs}
        needed = {need: {"result": results[need], "outputs": outputs[need]} for need in needs(body)}
        contexts = {**self.contexts, "needs": needed}
        succeeded = all(results[job] == "success" for job in self.ancestors(name))
        if not holds(body.get("if"), contexts, succeeded=succeeded):
            self.run.jobs.append(JobResult(name))
            return
        axes = fill(body.get("strategy", {}).get("matrix", {}), contexts)
        if not all(isinstance(values, list) and values for values in axes.values()):
            raise WorkflowError(f"job {name}: each entry of the matrix must be a list that is not empty, not {axes}")
        for index, values in enumerate(product(*axes.values())):
            self.run_member(name, body, index, {**contexts, "matrix": dict(zip(axes, values, strict=True))})

    def ancestors(self, name: str) -> set[str]:
        """Return every job that a job waits for, directly or not."""
        direct = set(needs(self.data["jobs"][name]))
        return direct.union(*(self.ancestors(need) for need in direct))

    def run_member(self, name: str, body: Mapping[str, Any], index: int, contexts: dict[str, Any]) -> None:
        """Run the steps of a job, or of one member of its matrix, in a workspace and a home that begin empty."""
        begin = monotonic()
        folder = self.run.folder / "jobs" / f"{name}-{index}"
        for kind in ("work", "home", "temp"):
            (folder / kind).mkdir(parents=True)
        job = JobResult(
            name,
            "success",
            contexts["matrix"],
            workspace=folder / "work",
            runs_on=text(fill(body["runs-on"], contexts)),
            permissions=body["permissions"],
        )
        self.run.jobs.append(job)
        environment = {**self.machine, "HOME": str(folder / "home"), "TMPDIR": str(folder / "temp")}
        environment |= texts(self.data.get("env"), self.contexts) | texts(body.get("env"), contexts)
        level = "write" if job.permissions.get("contents") == "write" else "read"
        steps: dict[str, Any] = {}
        contexts = {**contexts, "github": {**contexts["github"], "token": self.tokens[level]}, "steps": steps}
        for step in body["steps"]:
            title = step.get("name") or step.get("uses") or step["run"].strip().splitlines()[0]
            result = StepResult(title, step.get("uses", ""))
            job.steps.append(result)
            if holds(step.get("if"), contexts, succeeded=job.result == "success"):
                try:
                    self.run_step(job, step, result, {**contexts, "secrets": self.secrets}, environment)
                    result.outcome = "success"
                except StepError as error:
                    job.say(f"Error: {error}")
                    result.outcome = job.result = "failure"
            if "id" in step:
                steps[step["id"]] = {"outputs": Open(result.outputs)}
        job.outputs = texts(body.get("outputs"), contexts)
        job.seconds = monotonic() - begin

    def run_step(
        self,
        job: JobResult,
        step: Mapping[str, Any],
        result: StepResult,
        contexts: Mapping[str, Any],
        environment: dict[str, str],
    ) -> None:
        """Run an action or a script. What a script adds to the PATH is added to ``environment``, for later steps."""
        if "uses" in step:
            action = find_action(step["uses"], step.get("with", {}))
            result.outputs = action.run(self.run, job, texts(step.get("with"), contexts))
            return
        folder = job.workspace / step.get("working-directory", ".")
        if not folder.is_dir():
            raise StepError(f"there is no folder {step['working-directory']!r} to work in")
        place = job.workspace.parent / f"step-{len(job.steps)}"
        place.mkdir()
        files = {f"GITHUB_{kind}": place / kind for kind in ("OUTPUT", "PATH", "STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        (place / "script").write_text(step["run"], encoding="utf-8")
        added = texts(step.get("env"), contexts) | {name: str(file) for name, file in files.items()}
        status = _run_script(place / "script", folder, environment | added, place / "log")
        result.log = (place / "log").read_text(encoding="utf-8", errors="replace")
        job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        if found := COMMAND.search(result.log):
            raise WorkflowError(f"job {job.id}: the log says {found[0].strip()!r} to the runner, which is not emulated")
        result.outputs = _outputs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))
        for line in files["GITHUB_PATH"].read_text(encoding="utf-8").splitlines():
            environment["PATH"] = f"{line}:{environment['PATH']}"
        if status:
            raise StepError(f"the script ended with exit status {status}")


def _run_script(script: Path, folder: Path, environment: Mapping[str, str], log: Path) -> int:
    """Run a script as GitHub does where no ``shell`` is named, and return its exit status."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            ["bash", "-e", str(script)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return child.wait()
    except BaseException:  # such as the time limit of the test: what the script started ends with it
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise


def _outputs(written: str) -> dict[str, str]:
    """Read what a step wrote to GITHUB_OUTPUT: lines ``name=value``, whoever wrote them."""
    found = {}
    for line in filter(None, written.split("\n")):
        name, equals, value = line.partition("=")
        if not equals or "<<" in name:
            raise WorkflowError(f"GITHUB_OUTPUT: {line!r} is wrong or not emulated; expected name=value")
        found[name] = value
    return found
