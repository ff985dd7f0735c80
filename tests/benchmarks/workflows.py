"""What the jobs of the workflows take on the micro profile: two trainings and releases, the data growing in between.

Not a test: run it with ``make bench-workflows``. The workflow files themselves run, step by step, against a GitHub on
loopback. Everything is installed already, so no job's time holds an installation. Exit status 1 when a job ends
otherwise than it should.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.actions import Run  # noqa: E402
from support.github_api import GitHubServer  # noqa: E402
from support.lab import Lab, commit_all, make_lab  # noqa: E402

from stages.core.data.datasets.registry import REGISTRY  # noqa: E402
from stages.core.phantom.dataset.publish import publish  # noqa: E402
from stages.core.workspace.runs.pin import pin_dataset  # noqa: E402


def play(lab: Lab) -> Iterator[tuple[str, Run, set[str]]]:
    """Train, publish and judge, let the data grow, and again; yields title, run and the jobs that should end red."""
    remote = {"DVC_REMOTE_URL": str(lab.folder / "remote")}
    yield "retrain.yml", lab.retrain(variables=remote), set()
    lab.github.publish("v1.0.0", "2026-01-10T10:00:00Z")
    yield "release.yml, v1.0.0", lab.release("v1.0.0"), set()
    grown = publish(lab.folder / "cohort", "micro", "r2", 2)
    pin_dataset(lab.repository / REGISTRY, "micro", "r2", grown)
    commit_all(lab.repository, "the micro cohort has grown")
    yield "retrain.yml, grown data", lab.retrain(variables=remote), set()
    lab.github.publish("v1.1.0", "2026-02-10T10:00:00Z")
    # So few participants are never equivalent.
    yield "release.yml, v1.1.0", lab.release("v1.1.0"), {"gate"}


def lines(title: str, run: Run) -> Iterable[str]:
    """A line a job: its seconds, their share of those of all jobs of the run, and how it ended."""
    total = sum(job.seconds for job in run.jobs)
    yield f"{title}: {total:.0f} s in all jobs"
    for job in run.jobs:
        name = " ".join([job.id, *(str(value) for value in job.matrix.values())])
        yield f"  {name:<12} {job.seconds:8.1f} s {job.seconds / total:7.2f}  {job.result}"


def main() -> int:
    """Print a table a run, then the job summary of the last."""
    with tempfile.TemporaryDirectory() as folder, GitHubServer() as github:
        for title, run, red in play(make_lab(Path(folder), github)):
            print("\n".join(lines(title, run)), flush=True)
            wrong = sorted(job for job, result in run.results.items() if (result == "failure") != (job in red))
            if wrong:
                print(f"{', '.join(wrong)} ended otherwise than it should:\n{run.log[-4000:]}", file=sys.stderr)
                return 1
        print(f"\njob summary of the last run:\n\n{run.summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
