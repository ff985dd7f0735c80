"""One step: its environment, its script or action, and what it told the runner."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions import command_files, values
from actions.context import JobContext
from actions.errors import StepError, WorkflowError
from actions.processes import TRACKING, run_script
from actions.template import fill
from actions.uses import use

SUMMARY_BYTES = 1024 * 1024
# Defaults that a workflow cannot change; https://docs.github.com/actions/reference/workflows-and-actions/variables
FACTS = "actor api_url event_name graphql_url ref ref_name ref_type repository repository_owner run_attempt run_id"
FACTS += " run_number server_url sha triggering_actor workflow workflow_ref workflow_sha head_ref base_ref"
FILES = ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY", "STATE")


@dataclass
class Ended:
    """How a step ended: ``success``, ``failure``, ``timeout`` or ``cancelled``, and what it left."""

    outcome: str
    raw: str
    outputs: dict[str, str]
    summary: str
    masks: list[str]


def run_step(
    job: JobContext,
    step: Mapping[str, Any],
    number: int,
    contexts: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]],
    *,
    seconds: float,
    stop: threading.Event,
) -> Ended:
    """Run a step whose condition holds, for at most so many seconds."""
    log = job.folder / "logs" / f"{number}.txt"
    files = {name: job.folder / "commands" / f"{number}-{name}" for name in FILES}
    for file in (log, *files.values()):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    job.said.clear()
    outputs: dict[str, str] = {}
    outcome = "failure"
    try:
        if "uses" in step:
            inputs = {
                name: values.text(value) for name, value in fill(step.get("with") or {}, contexts, functions).items()
            }
            outputs |= use(job, step["uses"], inputs)
            outcome = "success"
        else:
            outcome = _script(job, step, number, contexts, functions, files, log, seconds, stop)
    except StepError as error:
        job.say(f"Error: {error}")
    raw = "\n".join([*job.said, log.read_text(encoding="utf-8", errors="replace")])
    masks, printed = command_files.commands(raw)
    outputs |= printed
    summary = files["STEP_SUMMARY"].read_text(encoding="utf-8")
    if len(summary.encode()) > SUMMARY_BYTES:
        raw += f"\nError: $GITHUB_STEP_SUMMARY upload aborted, supports content up to {SUMMARY_BYTES} bytes"
        summary = ""
    try:
        outputs |= command_files.pairs(files["OUTPUT"])
        job.environment |= command_files.pairs(files["ENV"])
    except StepError as error:
        raw += f"\nError: {error}"
        outcome = "failure"
    job.path += files["PATH"].read_text(encoding="utf-8").split("\n")[:-1]
    return Ended(outcome, raw, outputs, summary, masks)


def minutes(value: Any) -> float:
    """Return a ``timeout-minutes``.

    Raises:
        WorkflowError: it is no whole number above 0.
    """
    found = values.number(value)
    if not (found >= 1 and found.is_integer()):
        raise WorkflowError(f"timeout-minutes must be a whole number above 0, not {value!r}")
    return found


def _script(
    job: JobContext,
    step: Mapping[str, Any],
    number: int,
    contexts: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]],
    files: Mapping[str, Path],
    log: Path,
    seconds: float,
    stop: threading.Event,
) -> str:
    script = job.folder / "temp" / f"{number}.sh"
    script.write_text(values.text(fill(step["run"], contexts, functions)), encoding="utf-8")
    folder = job.workspace / values.text(fill(step.get("working-directory") or ".", contexts, functions))
    if not folder.is_dir():
        raise StepError(f"No such file or directory: working-directory {folder.relative_to(job.workspace)}")
    environment = _environment(job, contexts, files)
    shell = fill(step.get("shell"), contexts, functions)
    return run_script(script, shell, folder=folder, environment=environment, log=log, seconds=seconds, stop=stop)


def _environment(job: JobContext, contexts: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, str]:
    base = {"LANG": "C.UTF-8", "HOME": str(job.home), "TMPDIR": str(job.folder / "tmp"), "CI": "true"}
    found: dict[str, str] = base | job.run.environment | contexts["env"]
    github = contexts["github"]
    found |= {f"GITHUB_{fact.upper()}": values.text(github[fact]) for fact in FACTS.split()}
    found |= {f"GITHUB_{name}": str(path) for name, path in files.items()}
    found |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_JOB": job.id,
        "GITHUB_WORKSPACE": str(job.workspace),
        "GITHUB_EVENT_PATH": str(job.folder / "temp" / "event.json"),
        "RUNNER_TEMP": str(job.folder / "temp"),
        "RUNNER_OS": "Linux",
        "RUNNER_ARCH": "X64",
        TRACKING: tracking_id(job),
    }
    found["PATH"] = ":".join([*reversed(job.path), found["PATH"]])
    return found


def tracking_id(job: JobContext) -> str:
    """Return what marks the processes of a job."""
    return f"{os.getpid()}:{job.folder}"


def prepare(job: JobContext) -> None:
    """Make the empty folders of a job, and the file of its event."""
    for name in ("work", "home", "temp", "tmp"):
        (job.folder / name).mkdir(parents=True)
    (job.folder / "temp" / "event.json").write_text(json.dumps(job.run.github["event"]), encoding="utf-8")
