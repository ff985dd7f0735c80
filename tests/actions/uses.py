"""The actions that `uses:` may name, each with a local stand-in; any other is an error of the test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from actions import artifacts
from actions.caches import paths_of
from actions.checkout import checkout
from actions.context import JobContext
from actions.errors import StepError, WorkflowError
from actions.globs import find, lines
from actions.permissions import require
from actions.results import Attestation, Used

Inputs = Mapping[str, str]
PINNED = re.compile(r"(?P<action>[^@]+)@(?P<ref>[0-9a-f]{40})")


def setup_python(job: JobContext, inputs: Inputs) -> dict[str, str]:
    """Check that the Python asked for is the one at hand."""
    version = inputs["python-version"]
    program = shutil.which(f"python{version}", path=_path(job))
    if program is None:
        raise StepError(f"The version '{version}' was not found: no python{version} on the PATH of the test")
    return {"python-version": version, "python-path": program}


def restore(job: JobContext, inputs: Inputs) -> dict[str, str]:
    """Restore a cache by its key or the beginning of one."""
    key, paths = _key(inputs["key"]), paths_of(inputs["path"])
    cache = job.run.state.find(key, lines(inputs.get("restore-keys", "")), paths, job.run.github["ref"])
    job.say(f"Cache restored from key: {cache.key}" if cache else f"Cache not found for input keys: {key}")
    if cache is None:
        if inputs.get("fail-on-cache-miss") == "true":
            raise StepError(f"Failed to restore cache entry. Input key: {key}")
        return {"cache-primary-key": key}
    if inputs.get("lookup-only") != "true":
        job.run.state.restore(cache, job.workspace, job.home)
    return {
        "cache-primary-key": key,
        "cache-matched-key": cache.key,
        "cache-hit": "true" if cache.key == key else "false",
    }


def save(job: JobContext, inputs: Inputs) -> dict[str, str]:
    """Save a cache; that its key is there already is said, and no failure."""
    who = (job.run.github["workflow"], job.id)
    key, paths, ref = _key(inputs["key"]), paths_of(inputs["path"]), job.run.github["ref"]
    job.say(job.run.state.save(key, paths, ref, who, job.workspace, job.home))
    return {}


def cache(job: JobContext, inputs: Inputs) -> dict[str, str]:
    """Restore, and save when the job succeeded without an exact hit."""
    outputs = restore(job, inputs)
    if outputs.get("cache-hit") != "true":
        job.after.append(lambda: save(job, inputs))
    return {"cache-hit": outputs["cache-hit"]} if "cache-hit" in outputs else {}


def attest(job: JobContext, inputs: Inputs) -> dict[str, str]:
    """Record the files whose origin is attested."""
    for scope in ("id-token", "attestations"):
        require(job.permissions, scope, "write", "an attestation")
    patterns = lines(inputs["subject-path"].replace(",", "\n"))
    files = find(patterns, job.workspace, home=job.home).files
    if not files:
        raise StepError(f"Could not find subject at path {inputs['subject-path']}")
    made = [Attestation(job.id, file.name, sha256(file.read_bytes()).hexdigest()) for file in files]
    with job.run.lock:
        job.run.attestations.extend(made)
    return {"attestation-id": str(len(job.run.attestations))}


@dataclass(frozen=True)
class Action:
    """A stand-in, the inputs it must have and those it may have."""

    run: Callable[[JobContext, Inputs], dict[str, str]]
    required: frozenset[str]
    optional: frozenset[str]


def _action(run: Callable[[JobContext, Inputs], dict[str, str]], required: str, optional: str) -> Action:
    return Action(run, frozenset(required.split()), frozenset(optional.split()))


_CHECKOUT = "repository ref token persist-credentials path clean fetch-depth fetch-tags show-progress"
_RESTORE = "restore-keys lookup-only fail-on-cache-miss"
ACTIONS = {
    "actions/checkout": _action(checkout, "", _CHECKOUT),
    "actions/setup-python": _action(setup_python, "python-version", "check-latest"),
    "actions/cache": _action(cache, "key path", _RESTORE),
    "actions/cache/restore": _action(restore, "key path", _RESTORE),
    "actions/cache/save": _action(save, "key path", ""),
    "actions/upload-artifact": _action(
        artifacts.upload,
        "path",
        "name if-no-files-found retention-days compression-level overwrite include-hidden-files",
    ),
    "actions/download-artifact": _action(artifacts.download, "", "name pattern path merge-multiple"),
    "actions/attest-build-provenance": _action(attest, "subject-path", "show-summary"),
}


def find_action(uses: str, inputs: Mapping[str, object]) -> tuple[Action, str, str]:
    """Return the stand-in of what a step uses, its name and its ref.

    Raises:
        WorkflowError: it is not pinned by a full SHA, not emulated, or has an input that it does not know or lacks one.
    """
    pinned = PINNED.fullmatch(uses)
    if pinned is None:
        raise WorkflowError(f"uses: {uses} must be pinned by a commit's 40 hexadecimal digits")
    action = ACTIONS.get(pinned["action"])
    if action is None:
        raise WorkflowError(f"uses: {uses} is not emulated; known are {sorted(ACTIONS)}")
    unknown = sorted(set(inputs) - action.required - action.optional)
    missing = sorted(action.required - set(inputs))
    if unknown or missing:
        raise WorkflowError(f"uses: {pinned['action']}: inputs not known or not emulated {unknown}, missing {missing}")
    return action, pinned["action"], pinned["ref"]


def use(job: JobContext, uses: str, inputs: Inputs) -> dict[str, str]:
    """Run the stand-in of an action, and return its outputs."""
    action, name, ref = find_action(uses, inputs)
    with job.run.lock:
        job.run.used.append(Used(job.id, name, ref, dict(inputs)))
    return action.run(job, inputs)


def _key(key: str) -> str:
    if not key or len(key) > 512 or "," in key:
        raise StepError(f"Key Validation Error: {key!r} must have 1 to 512 characters and no comma")
    return key


def _path(job: JobContext) -> str:
    return ":".join([*reversed(job.path), job.run.environment["PATH"]])
