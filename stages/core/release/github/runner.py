"""What a command exchanges with the runner of a workflow: the commit, outputs of a step, the summary of a job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

COMMIT, OUTPUT, SUMMARY = "GITHUB_SHA", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


def current_commit() -> str:
    """Return the commit for which the workflow runs; ``""`` where no runner is."""
    return os.environ.get(COMMIT, "")


def write_outputs(values: Mapping[str, str]) -> None:
    """Print the outputs of a step, and pass them to the runner where there is one."""
    lines = [f"{name}={value}" for name, value in values.items()]
    if any("\n" in line or "\r" in line for line in lines):
        raise ValueError(f"an output of a step must be one line, because a second line could set another: {values}")
    print("\n".join(lines))
    _append(OUTPUT, "\n".join(lines) + "\n")


def write_summary(text: str) -> None:
    """Append Markdown to the summary of the job where there is a runner, else print it."""
    if not _append(SUMMARY, text + "\n"):
        print(text)


def _append(name: str, text: str) -> bool:
    path = os.environ.get(name)
    if not path:
        return False
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write(text)
    return True
