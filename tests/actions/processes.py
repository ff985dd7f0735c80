"""Scripts run as GitHub's runner runs them; whatever they started ends with the step's time or with the job."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from actions.errors import WorkflowError

# https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
SHELLS = {
    None: "bash -e {0}",
    "bash": "bash --noprofile --norc -eo pipefail {0}",
    "sh": "sh -e {0}",
    "python": "python {0}",
}
TRACKING = "RUNNER_TRACKING_ID"


def run_script(
    script: Path,
    shell: str | None,
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    seconds: float,
    stop: threading.Event,
) -> str:
    """Run a script and return ``success``, ``failure``, ``timeout`` or ``cancelled`` (when ``stop`` was set).

    Its input is empty; both outputs go to ``log``. When time is over its whole process group is killed.
    """
    template = SHELLS.get(shell, shell)
    if template is None or "{0}" not in template:
        raise WorkflowError(f"shell {shell!r} is not emulated; known are {sorted(filter(None, SHELLS))}")
    command = [word.replace("{0}", str(script)) for word in shlex.split(template)]
    end = time.monotonic() + seconds
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = child.wait(min(0.05, max(end - time.monotonic(), 0.001)))
            return "success" if status == 0 else "failure"
        if stop.is_set() or time.monotonic() >= end:
            break
    # The leader is not reaped yet, so that the number of the group is still its own.
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return "cancelled" if stop.is_set() else "timeout"


def kill_orphans(tracking_id: str) -> list[int]:
    """Kill what a job left running, found by the variable that each process inherits, as GitHub's runner does."""
    mark = f"{TRACKING}={tracking_id}".encode()
    killed = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                killed.append(int(folder.name))
    return killed
