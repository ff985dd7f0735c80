"""What holds for every workflow file of the repository and no linter of `make lint` looks for.

zizmor finds an action that is not pinned by a commit, a token that a checkout leaves behind, an expression in a script,
dangerous triggers, a missing concurrency group and secrets that are handed over as a whole; actionlint finds wrong
expressions, keys, ids and needs. ``load`` refuses what the runner of these tests does not emulate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.actions.document import load, needs, triggers
from support.cords import ROOT

CACHE = f"""\
      - uses: actions/cache/restore@{"0" * 40} # v4.3.0
        with: {{key: any, path: any}}
"""
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
VERSION = re.compile(r"uses:\s*\S+\s+#\s*v\d+(\.\d+)*\s*$")


def time_is_limited(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Each job has a time limit."""
    yield from (f"job {job}: no timeout-minutes" for job, body in data["jobs"].items() if "timeout-minutes" not in body)


def versions_are_named(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Beside the commit of each action its version stands in a comment."""
    for line in text.splitlines():
        if re.match(r"\s*(-\s+)?uses:", line) and not VERSION.search(line):
            yield f"{line.strip()!r} does not end in '# v<version>'"


def one_job_writes(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """At most one job writes to the repository; it waits for others, and takes nothing from a cache."""
    writers = [job for job, body in data["jobs"].items() if body["permissions"].get("contents") == "write"]
    if len(writers) > 1:
        yield f"contents: write in {len(writers)} jobs: {', '.join(writers)}"
        return
    for job in writers:
        body = data["jobs"][job]
        if not needs(body):
            yield f"job {job} writes to the repository and needs no job that made what it publishes"
        if any("cache" in step.get("uses", "") for step in body["steps"]):
            yield f"job {job} writes to the repository and uses a cache"


def writers_install_little(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """A job that may write anything installs nothing from an index of its own, and no more than it needs."""
    for job, body in data["jobs"].items():
        if "write" not in body["permissions"].values():
            continue
        if "TORCH_INDEX" in str(body) + str(data.get("env", {})):
            yield f"job {job} may write, and installs from TORCH_INDEX, whose packages nobody verifies"
        if any(re.search(r"\bmake setup(?!-publish)", step.get("run", "")) for step in body["steps"]):
            yield f"job {job} may write, and installs more than `make setup-publish`"


def artifacts_stay_apart(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """What another job made is unpacked below release/, never over the checkout whose code runs."""
    for job, body in data["jobs"].items():
        for step in body["steps"]:
            path = str(step.get("with", {}).get("path", ""))
            if "download-artifact" in step.get("uses", "") and not path.startswith("release/"):
                yield f"job {job} unpacks an artifact over the checkout"


def identity_or_secrets(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """A job that can prove its identity to others reads no secret."""
    for job, body in data["jobs"].items():
        if body["permissions"].get("id-token") == "write" and "secrets." in str(body):
            yield f"job {job}: id-token: write beside secrets"


def pull_requests_read_no_secret(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """What a pull request starts runs its code, and reads no secret."""
    if "pull_request" in triggers(data) and "secrets." in str(data["jobs"]):
        yield "a pull request reads secrets"


def watched_files_exist(data: Mapping[str, Any], text: str) -> Iterator[str]:
    """Each file whose change starts the workflow exists."""
    paths = [path for event in triggers(data).values() for path in event.get("paths", [])]
    yield from (f"on: {path} does not exist" for path in paths if not (ROOT / path).is_file())


Rule = Callable[[Mapping[str, Any], str], Iterator[str]]
RULES: list[Rule] = [
    time_is_limited,
    versions_are_named,
    one_job_writes,
    writers_install_little,
    artifacts_stay_apart,
    identity_or_secrets,
    pull_requests_read_no_secret,
    watched_files_exist,
]


def findings(path: Path) -> list[str]:
    """Return the sentences of all rules about a workflow file."""
    return [found for rule in RULES for found in rule(load(path), path.read_text(encoding="utf-8"))]


def test_there_are_four_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "data.yml", "release.yml", "retrain.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_workflow_keeps_the_rules(path: Path) -> None:
    assert findings(path) == []


@pytest.mark.parametrize(
    ("workflow", "old", "new", "said"),
    [
        ("data", "    timeout-minutes: 180\n", "", "job data: no timeout-minutes"),
        ("data", " # v4.2.2", "", "does not end in"),
        ("data", " # v4.2.2", " # pinned", "does not end in"),
        ("release", "contents: read", "contents: write", "in 2 jobs: plan, publish"),
        ("release", "    needs: judge\n", "", "job publish writes to the repository and needs no job"),
        ("retrain", "      - if: vars.CORDRIFT_ATTEST", f"{CACHE}      - if: vars.CORDRIFT_ATTEST", "and uses a cache"),
        ("retrain", "      contents: read\n", "      id-token: write\n", "job train: id-token: write beside secrets"),
        ("retrain", "  push:\n    branches: [main]\n    paths:", "  pull_request:\n    paths:", "a pull request reads"),
        ("retrain", "          path: release/trained\n", "", "job files unpacks an artifact over the checkout"),
        ("retrain", "make setup-publish", "make setup", "job draft may write, and installs more than"),
        ("release", "env:\n  TAG", "env:\n  TORCH_INDEX: x\n  TAG", "job publish may write, and installs from TORCH"),
        ("retrain", "data/persons.csv", "data/people.csv", "data/people.csv does not exist"),
    ],
)
def test_a_workflow_that_breaks_a_rule_is_named(tmp_path: Path, workflow: str, old: str, new: str, said: str) -> None:
    text = (ROOT / f".github/workflows/{workflow}.yml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / f"{workflow}.yml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    found = findings(path)
    assert any(said in sentence for sentence in found), found
