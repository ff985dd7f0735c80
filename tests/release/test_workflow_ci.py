"""ci.yml, executed: its jobs run the targets of the Makefile, whose commands are replaced by ones that take no time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.actions import Run, git, run_workflow
from support.actions.document import load
from support.cords import ROOT

CI = ROOT / ".github/workflows/ci.yml"
JOBS = [name for name in load(CI)["jobs"] if name != "pass"]
#: Every target succeeds unless a file named after it lies beside the Makefile.
TARGETS = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
MAKEFILE = f"""
{" ".join(sorted(set(TARGETS) - {"diff-metrics"}))}:
	@test ! -e broken-$@
diff-metrics:
	@test ! -e broken-$@
	@echo "$$(cat revision) against $$(cat $(BASE)/revision)" >> "$(SUMMARY)"
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with a commit ``base`` and on top of it the commit ``head``."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    for revision in ("base", "head"):
        (folder / "revision").write_text(revision, encoding="utf-8")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", f"--message={revision}")
    return folder


def pull_request(repository: Path, folder: Path, broken: str = "") -> Run:
    """Run ci.yml as a pull request of ``head`` onto ``base`` does; in one job every target fails."""

    def checked_out(tree: Path) -> None:
        if broken and f"/jobs/{broken}-" in str(tree):
            for target in TARGETS:
                (tree / f"broken-{target}").touch()

    return run_workflow(
        CI,
        source=repository,
        folder=folder / "run",
        event_name="pull_request",
        event={"pull_request": {"base": {"sha": git(repository, "rev-parse", "HEAD^").strip()}}},
        ref="refs/pull/1/merge",
        after_checkout=checked_out,
    )


def test_a_push_runs_all_but_the_comparison_and_passes(repository: Path, tmp_path: Path) -> None:
    run = run_workflow(CI, source=repository, folder=tmp_path / "run", event_name="push")
    assert run.results == {**dict.fromkeys(JOBS, "success"), "metrics": "skipped", "pass": "success"}, run.log


def test_a_pull_request_is_compared_with_its_base(repository: Path, tmp_path: Path) -> None:
    run = pull_request(repository, tmp_path)
    assert run.results == dict.fromkeys([*JOBS, "pass"], "success"), run.log
    assert run.summary == "head against base\n"


@pytest.mark.parametrize("job", JOBS)
def test_one_red_job_is_a_red_pass(repository: Path, tmp_path: Path, job: str) -> None:
    run = pull_request(repository, tmp_path, broken=job)
    assert run.results == {**dict.fromkeys(JOBS, "success"), job: "failure", "pass": "failure"}, run.log
