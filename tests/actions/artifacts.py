"""actions/upload-artifact and actions/download-artifact, of version 4 and later: an artifact is not changed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from actions.context import JobContext
from actions.errors import StepError, WorkflowError
from actions.globs import absolute, find, lines, matcher
from actions.results import Artifact

FORBIDDEN = re.compile(r'["/\\:<>|*?\r\n]')


def upload(job: JobContext, inputs: Mapping[str, str]) -> dict[str, str]:
    """Keep files under a name; several paths are kept from their least common ancestor on, modes are lost."""
    name = inputs.get("name") or "artifact"
    if FORBIDDEN.search(name):
        raise StepError(f"The artifact name is not valid: {name!r}")
    hidden = inputs.get("include-hidden-files") == "true"
    found = find(lines(inputs["path"]), job.workspace, home=job.home, hidden=hidden)
    if not found.files:
        missing = inputs.get("if-no-files-found") or "warn"
        if missing not in ("warn", "error", "ignore"):
            raise StepError(f"Unrecognized if-no-files-found input: {missing!r}")
        said = f"No files were found with the provided path: {inputs['path']}. No artifacts will be uploaded."
        if missing == "error":
            raise StepError(said)
        job.say(said)
        return {}
    root = Path(os.path.commonpath(found.searched))
    if len(found.searched) == 1 and found.files == found.searched:
        root = root.parent
    folder = job.run.folder / "artifacts" / name
    with job.run.lock:
        if name in job.run.artifacts:
            if inputs.get("overwrite") != "true":
                raise StepError(f"Conflict: an artifact with this name already exists on the workflow run: {name}")
            shutil.rmtree(folder)
        for file in found.files:
            _copy(file, folder / file.relative_to(root))
        job.run.artifacts[name] = Artifact(name, folder, job.id)
        number = len(job.run.artifacts)
    job.say(f"Artifact {name}: {len(found.files)} file(s)")
    return {"artifact-id": str(number)}


def download(job: JobContext, inputs: Mapping[str, str]) -> dict[str, str]:
    """Bring one artifact by name, or all that match a pattern, each into a folder of its own unless merged."""
    name, pattern = inputs.get("name"), inputs.get("pattern") or "*"
    to = Path(absolute(inputs.get("path") or ".", job.workspace, job.home))
    with job.run.lock:
        known = dict(job.run.artifacts)
    if name:
        if name not in known:
            raise StepError(f"Unable to download artifact(s): Artifact not found for name: {name}")
        chosen = [known[name]]
    else:
        chosen = [artifact for artifact in known.values() if matcher(pattern).fullmatch(artifact.name)]
    together = bool(name) or inputs.get("merge-multiple") == "true"
    brought: dict[Path, str] = {}
    for artifact in chosen:
        for file in artifact.files:
            place = to / file if together else to / artifact.name / file
            if place in brought:
                raise WorkflowError(f"{file} is in the artifacts {brought[place]} and {artifact.name}: either may win")
            brought[place] = artifact.name
            _copy(artifact.folder / file, place)
    job.say(f"Total of {len(chosen)} artifact(s) downloaded")
    return {"download-path": str(to)}


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
