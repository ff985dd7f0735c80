"""What a run leaves behind, for a test to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions.secrets import Secrets


@dataclass(frozen=True)
class Used:
    """An action that a step used, with its inputs."""

    job: str
    action: str
    ref: str
    inputs: Mapping[str, str]


@dataclass
class StepResult:
    """A step: ``outcome`` is before ``continue-on-error``, ``conclusion`` after; ``log`` is masked, ``raw`` is not."""

    name: str
    id: str | None
    outcome: str
    conclusion: str
    seconds: float = 0.0
    log: str = ""
    raw: str = field(default="", repr=False)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class JobResult:
    """A job, or one member of its matrix."""

    id: str
    matrix: dict[str, Any]
    result: str
    index: int = 0
    steps: list[StepResult] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    permissions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    summary: str = ""
    raw_summary: str = field(default="", repr=False)
    workspace: Path | None = None
    message: str = ""
    orphans: list[int] = field(default_factory=list)

    @property
    def log(self) -> str:
        """The logs of all steps, masked, and what the runner itself said."""
        said = [f"== {step.name} ({step.outcome})\n{step.log}" for step in self.steps]
        return "\n".join([*said, self.message])

    def step(self, name: str) -> StepResult:
        """Return a step by its id or its name."""
        return next(step for step in self.steps if name in (step.id, step.name))


@dataclass(frozen=True)
class Artifact:
    """What was uploaded under a name."""

    name: str
    folder: Path
    job: str

    @property
    def files(self) -> list[str]:
        """The files, by their place in the artifact."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Attestation:
    """A file whose origin was attested, with its SHA-256."""

    job: str
    name: str
    sha256: str


@dataclass
class Run:
    """A workflow run that is over."""

    name: str
    folder: Path
    jobs: list[JobResult]
    artifacts: dict[str, Artifact]
    attestations: list[Attestation]
    used: list[Used]
    concurrency: dict[str, dict[str, Any]]
    secrets: Secrets = field(repr=False)

    @property
    def results(self) -> dict[str, str]:
        """The result of each job, over the members of its matrix."""
        return {job.id: combined([one.result for one in self.members(job.id)]) for job in self.jobs}

    @property
    def conclusion(self) -> str:
        """``failure`` when a job failed, else ``cancelled`` when one was, else ``success``."""
        return combined([result for result in self.results.values() if result != "skipped"] or ["success"])

    def members(self, job: str) -> list[JobResult]:
        """Return the results of a job, one per member of its matrix."""
        return [one for one in self.jobs if one.id == job]

    def job(self, job: str, **matrix: Any) -> JobResult:
        """Return the one result of a job, or of the member of its matrix that has these values."""
        (found,) = [one for one in self.members(job) if matrix.items() <= one.matrix.items()]
        return found

    @property
    def summary(self) -> str:
        """The job summaries, masked, in the order of the jobs."""
        return "\n".join(job.summary for job in self.jobs if job.summary)

    @property
    def log(self) -> str:
        """The logs of all jobs, masked."""
        return "\n".join(f"==== {job.id} {job.matrix or ''}: {job.result}\n{job.log}" for job in self.jobs)

    def leaks(self) -> list[tuple[str, str]]:
        """Return (secret, place) wherever a secret's value stands: logs, summaries, outputs and artifacts."""
        places: list[tuple[str, str]] = []
        for job in self.jobs:
            places += [(f"log of {job.id}: {step.name}", step.raw) for step in job.steps]
            places += [(f"outputs of {job.id}: {step.name}", "\n".join(step.outputs.values())) for step in job.steps]
            places += [(f"summary of {job.id}", job.raw_summary)]
        for artifact in self.artifacts.values():
            for name in artifact.files:
                content = (artifact.folder / name).read_bytes().decode("utf-8", "replace")
                places.append((f"artifact {artifact.name}: {name}", content))
        return [(secret, place) for place, text in places for secret in self.secrets.found_in(text)]


def combined(results: list[str]) -> str:
    """Return the result of a job from those of the members of its matrix."""
    for result in ("failure", "cancelled", "success"):
        if result in results:
            return result
    return "skipped"
