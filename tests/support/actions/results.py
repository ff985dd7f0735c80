"""What a run of a workflow leaves behind, for a test to look at, and the two ways in which it goes wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from support.actions.stand_ins import Caches


class WorkflowError(Exception):
    """The workflow file is wrong, or uses a feature that is not emulated: the test fails, whatever the run did."""


class StepError(Exception):
    """A step fails as it would on GitHub; the run goes on as its conditions say."""


@dataclass
class StepResult:
    """A step that ran or was skipped; ``log`` holds both outputs of its script, and nothing in it is masked."""

    name: str
    uses: str
    outcome: str = "skipped"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class JobResult:
    """A job, or one member of its matrix."""

    id: str
    result: str = "skipped"
    matrix: dict[str, Any] = field(default_factory=dict)
    workspace: Path = Path()
    runs_on: str = ""
    permissions: Mapping[str, str] = field(default_factory=dict)
    steps: list[StepResult] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    seconds: float = 0.0

    @property
    def log(self) -> str:
        """The logs of all steps."""
        return "\n".join(f"== {step.name} ({step.outcome})\n{step.log}" for step in self.steps)

    def say(self, line: str) -> None:
        """Write a line into the log of the step that runs."""
        self.steps[-1].log += line + "\n"

    def require(self, scope: str, level: str) -> None:
        """Fail the step that runs unless the job has a permission: ``level`` is ``read`` or ``write``."""
        granted = self.permissions.get(scope, "none")
        if granted not in (level, "write"):
            raise StepError(f"this step needs the permission '{scope}: {level}'; the job has '{granted}'")


@dataclass(frozen=True)
class Artifact:
    """Files that were uploaded under a name."""

    name: str
    folder: Path

    @property
    def files(self) -> list[str]:
        """Their paths within the artifact, sorted."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Attestation:
    """A file whose origin was attested, with its SHA-256."""

    job: str
    name: str
    sha256: str


@dataclass
class Run:
    """A workflow run: what its jobs share while it goes on, and what it leaves.

    Args:
        source: The repository that actions/checkout clones.
        sha: The commit that a checkout without ``ref`` gets.
        ref: What the run is for, such as ``refs/tags/v1.0.0``; it decides which caches are seen.
        folder: Where the run writes.
        caches: The caches of the repository, which outlive the run.
        secrets: Their values by name, the tokens of the run among them.
        concurrency: The name of the group in which runs wait for each other.
        after_checkout: Called with each tree that was checked out.
    """

    source: Path
    sha: str
    ref: str
    folder: Path
    caches: Caches
    secrets: Mapping[str, str] = field(repr=False)
    concurrency: str
    after_checkout: Callable[[Path], None] | None = None
    jobs: list[JobResult] = field(default_factory=list)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    attestations: list[Attestation] = field(default_factory=list)

    @property
    def results(self) -> dict[str, str]:
        """The result of each job; of a matrix, ``failure`` when one member failed."""
        return {job.id: _worst([one.result for one in self.jobs if one.id == job.id]) for job in self.jobs}

    @property
    def conclusion(self) -> str:
        """``failure`` when a job failed, else ``success``, or ``skipped`` when no job ran."""
        return _worst(list(self.results.values()))

    def job(self, job: str, **matrix: Any) -> JobResult:
        """Return the result of a job, or of the member of its matrix that has these values."""
        (found,) = [one for one in self.jobs if one.id == job and matrix.items() <= one.matrix.items()]
        return found

    @property
    def summary(self) -> str:
        """The job summaries, in the order of the jobs in the file."""
        return "\n".join(job.summary for job in self.jobs if job.summary)

    @property
    def log(self) -> str:
        """The logs of all jobs."""
        return "\n".join(f"==== {job.id} {job.matrix or ''}: {job.result}\n{job.log}" for job in self.jobs)

    def leaks(self) -> list[tuple[str, str]]:
        """Return (secret, place) wherever a secret stands, plain, as base64 or as part of an address.

        GitHub masks secrets in logs and summaries. Here a secret in one of them is a finding.
        """
        places: list[tuple[str, str]] = []
        for job in self.jobs:
            places.append((f"summary of {job.id}", job.summary))
            places += [(f"log of {job.id}: {step.name}", step.log) for step in job.steps]
            places += [(f"outputs of {job.id}: {step.name}", "\n".join(step.outputs.values())) for step in job.steps]
        for artifact in self.artifacts.values():
            for name in artifact.files:
                content = (artifact.folder / name).read_bytes().decode("utf-8", "replace")
                places.append((f"artifact {artifact.name}: {name}", content))
        return [
            (secret, place)
            for secret, value in self.secrets.items()
            for place, text in places
            if value and any(form in text for form in _forms(value))
        ]


def _worst(results: list[str]) -> str:
    return next((result for result in ("failure", "success") if result in results), "skipped")


def _forms(value: str) -> set[str]:
    return {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
