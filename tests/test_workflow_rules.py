"""Rules over every workflow file of the repository; each is seen to catch a workflow that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from actions.document import load
from actions.playing import CHECKOUT
from actions.rules import RULES
from actions.workflow import read_workflow
from cords import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))

GOOD = f"""
name: good
on: {{release: {{types: [published]}}}}
permissions: {{}}
concurrency: {{group: "good-${{{{ github.ref }}}}"}}
jobs:
  build:
    name: build
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {{contents: read}}
    steps:
      - uses: {CHECKOUT} # v4.2.2
        with: {{persist-credentials: false}}
      - env: {{KEY: "${{{{ secrets.KEY }}}}"}}
        run: echo hello
  attest:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {{id-token: write}}
    steps:
      - run: "true"
  publish:
    needs: build
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {{contents: write}}
    steps:
      - run: "true"
"""
LAST = '      - run: "true"\n'

BAD = {
    "no top-level permissions": ("permissions: {}\n", "", "top-level permissions"),
    "top-level permissions": ("permissions: {}\n", "permissions: {contents: read}\n", "top-level permissions"),
    "job without permissions": ("    permissions: {contents: read}\n", "", "job build: permissions"),
    "job with write-all": ("permissions: {contents: read}", "permissions: write-all", "job build: permissions"),
    "no timeout": ("    timeout-minutes: 5\n    permissions: {contents: read}", "    permissions: {}", "no timeout"),
    "a moving tag": (f"{CHECKOUT} # v4.2.2", "actions/checkout@v4", "line 13"),
    "no version": (" # v4.2.2", "", "line 13"),
    "a version in words": (" # v4.2.2", " # pinned", "line 13"),
    "expression in a script": ("echo hello", 'echo "${{ github.ref }}"', "job build, step 2"),
    "token kept": ("{persist-credentials: false}", "{fetch-depth: 0}", "job build, step 1"),
    "no concurrency": ('concurrency: {group: "good-${{ github.ref }}"}\n', "", "no concurrency"),
    "two writers": ("permissions: {contents: read}", "permissions: {contents: write}", "in 2 jobs: build, publish"),
    "a writer that builds": ("    needs: build\n", "", "needs no job"),
    "a writer with a cache": (LAST, f"      - uses: {CHECKOUT.replace('checkout', 'cache/restore')} # v4\n", "a cache"),
    "a writer with pip's cache": (LAST, LAST + "        with: {cache: pip}\n", "uses a cache"),
    "identity and secret": ("{contents: read}", "{id-token: write}", "beside ['secrets.key']"),
    "secret for a whole job": (
        "    runs-on: ubuntu-24.04\n",
        '    runs-on: ubuntu-24.04\n    env: {K: "${{ secrets.K }}"}\n',
        "outside of a step",
    ),
    "secret for all": ("jobs:\n", 'env: {K: "${{ secrets.K }}"}\njobs:\n', "the workflow's env"),
    "all secrets": ("${{ secrets.KEY }}", "${{ toJSON(secrets) }}", "without a name"),
    "a secret by number": ("${{ secrets.KEY }}", "${{ secrets[matrix.key] }}", "without a name"),
    "pull_request_target": ("on: {", "on: {pull_request_target: {}, ", "pull_request_target"),
    "a pull request with a secret": ("on: {", "on: {pull_request: {}, ", "reads ['KEY']"),
}


def findings(path: Path) -> list[str]:
    """Return the sentences of all rules about a workflow file."""
    text = path.read_text(encoding="utf-8")
    return [found for rule in RULES for found in rule(load(path), text)]


def test_there_are_workflows() -> None:
    assert "ci.yml" in [path.name for path in WORKFLOWS]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_workflow_keeps_the_rules(path: Path) -> None:
    assert findings(path) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_workflow_can_be_run_here(path: Path) -> None:
    read_workflow(path)


def test_a_good_workflow_breaks_no_rule(tmp_path: Path) -> None:
    path = tmp_path / "good.yml"
    path.write_text(GOOD)
    assert findings(path) == []
    read_workflow(path)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_workflow_breaks_its_rule(tmp_path: Path, case: str) -> None:
    old, new, said = BAD[case]
    at = GOOD.rindex(old) if old == LAST else GOOD.index(old)
    path = tmp_path / "bad.yml"
    path.write_text(GOOD[:at] + new + GOOD[at + len(old) :])
    found = findings(path)
    assert any(said in sentence for sentence in found), found
    assert len(found) == 1
