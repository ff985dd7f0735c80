"""A workflow file, read and checked from end to end before anything of it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actions.checks import check
from actions.document import load, order
from actions.permissions import granted
from actions.uses import find_action


def read_workflow(path: Path) -> dict[str, Any]:
    """Read a workflow file, and check all of it: keys, needs, permissions, expressions and actions.

    Raises:
        WorkflowError: it is wrong, or uses what is not emulated, in a place that a run may or may not reach.
    """
    data = load(path)
    check(data, path.name)
    order(data["jobs"])
    for body in data["jobs"].values():
        granted(data, body)
        for step in body.get("steps") or []:
            if "uses" in step:
                find_action(step["uses"], step.get("with") or {})
    return data
