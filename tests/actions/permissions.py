"""What the token of a job may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.errors import StepError, WorkflowError

# https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#permissions
SCOPES = {
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "security-events",
    "statuses",
}
LEVELS = ["none", "read", "write"]


def granted(workflow: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, str]:
    """Return the level of each scope; a job's own permissions replace the workflow's, what is not named is ``none``.

    Raises:
        WorkflowError: a scope or level does not exist.
    """
    value = job.get("permissions", workflow.get("permissions", {"contents": "read", "packages": "read"}))
    if value in ("read-all", "write-all"):
        value = dict.fromkeys(SCOPES, value.removesuffix("-all"))
    value = value or {}
    for scope, level in value.items():
        if scope not in SCOPES or level not in LEVELS:
            raise WorkflowError(f"permissions: {scope}: {level} does not exist")
    return {scope: value.get(scope, "none") for scope in SCOPES}


def require(permissions: Mapping[str, str], scope: str, level: str, what: str) -> None:
    """Fail a step that lacks a permission."""
    if LEVELS.index(permissions[scope]) < LEVELS.index(level):
        raise StepError(f"{what} needs the permission '{scope}: {level}'; the job has '{permissions[scope]}'")
