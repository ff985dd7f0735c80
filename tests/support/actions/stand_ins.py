"""What takes the place of the actions that our workflows use; each takes and gives what the real one does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from support.actions.results import Artifact, Attestation, JobResult, Run, StepError, WorkflowError

Inputs = Mapping[str, str]
Outputs = dict[str, str]
GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints.

    Raises:
        StepError: git fails.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **GIT_ENVIRONMENT}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def checkout(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Fetch one commit of the source, and nothing of its history, into the workspace or a folder of it."""
    job.require("contents", "read")
    if inputs.get("persist-credentials") != "false":
        raise WorkflowError("actions/checkout: persist-credentials must be false; a token that stays is not emulated")
    to = job.workspace / _plain(inputs.get("path", "."))
    if to.exists():
        shutil.rmtree(to)
    to.mkdir(parents=True)
    git(to, "init", "--quiet")
    # A commit that no branch or tag names can be asked for by protocol 2 alone.
    options = ["-c", "protocol.version=2", "fetch", "--quiet", "--no-tags", "--depth", "1"]
    git(to, *options, "--", run.source.resolve().as_uri(), inputs.get("ref") or run.sha)
    git(to, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    if run.after_checkout is not None:
        run.after_checkout(to)
    return {}


def setup_python(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Check the form of the version; the Python itself is the one of the tests."""
    if not re.fullmatch(r"3\.\d\d", inputs["python-version"]):
        raise StepError(f"the version {inputs['python-version']!r} was not found; expected one such as '3.11'")
    return {}


# Caches ---


@dataclass(frozen=True)
class Cache:
    """A saved cache, and who saved it."""

    key: str
    path: str
    ref: str
    job: str
    folder: Path


@dataclass
class Caches:
    """The caches of a repository, kept from run to run in a folder; one that is saved never changes."""

    folder: Path
    saved: list[Cache] = field(default_factory=list)

    def find(self, key: str, path: str, ref: str) -> Cache | None:
        """Return the cache that a run on ``ref`` sees: its own, else that of the default branch, and no other."""
        for place in (ref, "refs/heads/main"):
            for cache in self.saved:
                if (cache.key, cache.path, cache.ref) == (key, path, place):
                    return cache
        return None


def restore_cache(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Bring what was saved under a key and a path, or say that there is nothing."""
    cache = run.caches.find(inputs["key"], _plain(inputs["path"]), run.ref)
    if cache is None:
        job.say(f"Cache not found for input keys: {inputs['key']}")
        return {}
    _copy(cache.folder, job.workspace / cache.path)
    job.say(f"Cache restored from key: {cache.key}")
    return {"cache-hit": "true"}


def save_cache(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Save a path under a key; as on GitHub, what cannot be saved is said and does not fail the step."""
    key, path, caches = inputs["key"], _plain(inputs["path"]), run.caches
    if any((cache.key, cache.path, cache.ref) == (key, path, run.ref) for cache in caches.saved):
        job.say(f"Failed to save: Unable to reserve cache with key {key}")
    elif not (job.workspace / path).exists():
        job.say("Path Validation Error: Path(s) specified in the action for caching do(es) not exist")
    else:
        cache = Cache(key, path, run.ref, job.id, caches.folder / f"cache-{len(caches.saved) + 1}")
        _copy(job.workspace / path, cache.folder)
        caches.saved.append(cache)
        job.say(f"Cache saved with key: {key}")
    return {}


# Artifacts ---


def upload_artifact(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Keep files and folders under a name, from their common folder on; hidden files are left out, modes are lost."""
    name = inputs["name"]
    if re.search(r'["/\\:<>|*?\r\n]', name):
        raise StepError(f"The artifact name is not valid: {name!r}")
    searched = [job.workspace / _plain(line) for line in inputs["path"].splitlines()]
    files = [file for start in searched for file in _visible_files(start)]
    if not files:
        said = f"No files were found with the provided path: {inputs['path']}. No artifacts will be uploaded."
        if inputs.get("if-no-files-found") == "error":
            raise StepError(said)
        job.say(said)
        return {}
    folder = run.folder / "artifacts" / name
    if name in run.artifacts:
        if inputs.get("overwrite") != "true":
            raise StepError(f"Conflict: an artifact with this name already exists on the workflow run: {name}")
        shutil.rmtree(folder)
    root = Path(os.path.commonpath(searched))
    for file in files:
        _copy_file(file, folder / file.relative_to(root if root.is_dir() else root.parent))
    run.artifacts[name] = Artifact(name, folder)
    return {}


def download_artifact(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Bring one artifact by its name, or all that match a pattern, each into a folder of its own."""
    to = job.workspace / _plain(inputs.get("path", "."))
    if "name" in inputs:
        if inputs["name"] not in run.artifacts:
            raise StepError(f"Unable to download artifact(s): Artifact not found for name: {inputs['name']}")
        chosen = {run.artifacts[inputs["name"]]: to}
    else:
        names = [name for name in run.artifacts if fnmatchcase(name, inputs["pattern"])]
        chosen = {run.artifacts[name]: to / name for name in names}
    for artifact, place in chosen.items():
        for file in artifact.files:
            _copy_file(artifact.folder / file, place / file)
    return {}


def attest(run: Run, job: JobResult, inputs: Inputs) -> Outputs:
    """Record the file whose origin is attested."""
    job.require("id-token", "write")
    job.require("attestations", "write")
    file = job.workspace / _plain(inputs["subject-path"])
    if not file.is_file():
        raise StepError(f"Could not find subject at path {inputs['subject-path']}")
    run.attestations.append(Attestation(job.id, file.name, sha256(file.read_bytes()).hexdigest()))
    return {}


# The table of what `uses:` may name ---


@dataclass(frozen=True)
class Action:
    """A stand-in, the inputs that it must have and those that it may have."""

    run: Callable[[Run, JobResult, Inputs], Outputs]
    required: set[str]
    optional: set[str]


ACTIONS = {
    # A job begins in an empty workspace, so that `clean` changes nothing here.
    "actions/checkout": Action(checkout, {"persist-credentials"}, {"path", "ref", "clean"}),
    "actions/setup-python": Action(setup_python, {"python-version"}, set()),
    "actions/cache/restore": Action(restore_cache, {"key", "path"}, set()),
    "actions/cache/save": Action(save_cache, {"key", "path"}, set()),
    "actions/upload-artifact": Action(
        upload_artifact, {"name", "path"}, {"if-no-files-found", "overwrite", "retention-days"}
    ),
    "actions/download-artifact": Action(download_artifact, set(), {"name", "pattern", "path"}),
    "actions/attest-build-provenance": Action(attest, {"subject-path"}, set()),
}


def find_action(uses: str, inputs: Mapping[str, object]) -> Action:
    """Return the stand-in of an action. actionlint does not know the inputs of one that is pinned by a commit.

    Raises:
        WorkflowError: the action is not emulated, or an input is unknown or missing.
    """
    action = ACTIONS.get(uses.split("@")[0])
    if action is None:
        raise WorkflowError(f"{uses} is not emulated; known are {sorted(ACTIONS)}")
    unknown = sorted(set(inputs) - action.required - action.optional)
    missing = sorted(action.required - set(inputs))
    if unknown or missing:
        raise WorkflowError(f"{uses}: inputs wrong or not emulated {unknown}, missing {missing}")
    return action


def _plain(path: str) -> str:
    path = path.strip()
    if not path or path.startswith("/") or ".." in path.split("/") or re.search(r"[*?\[!~\n]", path):
        raise WorkflowError(f"path {path!r}: only a plain path within the workspace is emulated")
    return path


def _visible_files(start: Path) -> list[Path]:
    if start.name.startswith("."):
        return []
    if start.is_file():
        return [start]
    found = []
    for folder, folders, names in os.walk(start, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(file for file in found if file.is_file())


def _copy_file(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, to)
