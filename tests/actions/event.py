"""What starts a run: the event, its inputs, and the context ``github``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions import values
from actions.document import triggers
from actions.errors import WorkflowError


def inputs_of(data: Mapping[str, Any], event_name: str, event: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """Return the inputs of a run by hand, with defaults.

    Raises:
        WorkflowError: the workflow does not listen to the event, or an input is missing, unknown or no choice.
    """
    on = triggers(data)
    if event_name not in on:
        raise WorkflowError(f"the workflow does not run on {event_name!r}; it runs on {sorted(on)}")
    types = (on[event_name] or {}).get("types") if isinstance(on[event_name], dict) else None
    if types and event.get("action") not in types:
        raise WorkflowError(f"the workflow runs on {event_name} of {types}, not of {event.get('action')!r}")
    if event_name != "workflow_dispatch":
        if given:
            raise WorkflowError(f"inputs {sorted(given)} were given to {event_name}; workflow_dispatch alone has some")
        return {}
    declared = on[event_name].get("inputs") or {}
    if unknown := sorted(set(given) - set(declared)):
        raise WorkflowError(f"no input {unknown}; workflow_dispatch has {sorted(declared)}")
    found = {}
    for name, rule in declared.items():
        rule = rule or {}
        value = given.get(name, rule.get("default"))
        if rule.get("required") and value in (None, ""):
            raise WorkflowError(f"the input {name!r} is required")
        if rule.get("type") == "choice" and value not in rule["options"]:
            raise WorkflowError(f"the input {name!r} must be one of {rule['options']}, not {value!r}")
        found[name] = value if rule.get("type") == "boolean" else values.text(value)
    return found


def ref_of(event_name: str, event: Mapping[str, Any], ref_name: str | None) -> str:
    """Return the ref of a run: a release runs on its tag, else it is a branch."""
    if event_name == "release" and ref_name is None:
        return f"refs/tags/{event['release']['tag_name']}"
    name = ref_name or "main"
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def github_context(
    data: Mapping[str, Any],
    file: str,
    event_name: str,
    event: Mapping[str, Any],
    **facts: str,
) -> dict[str, Any]:
    """Return the context ``github`` of a run; ``facts`` are ref, sha, token, repository and addresses."""
    owner = facts["repository"].split("/")[0]
    kind, name = facts["ref"].removeprefix("refs/").split("/", 1)
    return facts | {
        "actor": "octocat",
        "triggering_actor": "octocat",
        "event": dict(event),
        "event_name": event_name,
        "ref_name": name,
        "ref_type": "tag" if kind == "tags" else "branch",
        "repository_owner": owner,
        "run_number": facts["run_id"],
        "graphql_url": f"{facts['api_url']}/graphql",
        "head_ref": "",
        "base_ref": "",
        "workflow": data.get("name") or file,
        "workflow_ref": f"{facts['repository']}/.github/workflows/{file}@{facts['ref']}",
        "workflow_sha": facts["sha"],
    }
