"""The workflow files of this repository, run on this machine; README.md says what is emulated and what is not."""

from support.actions.results import JobResult, Run, StepError, StepResult, WorkflowError
from support.actions.runner import run_workflow
from support.actions.stand_ins import Caches, git

__all__ = ["Caches", "JobResult", "Run", "StepError", "StepResult", "WorkflowError", "git", "run_workflow"]
