"""Workflow files of GitHub Actions, run on this machine by tests.

``run_workflow(path, source=..., folder=..., ...)`` returns a ``Run``. A mistake in the workflow is a ``WorkflowError``.
"""

from actions.caches import State
from actions.errors import WorkflowError
from actions.results import Run
from actions.runner import run_workflow

__all__ = ["Run", "State", "WorkflowError", "run_workflow"]
