"""Short workflows for the tests of the runner itself."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from actions.results import Run
from actions.runner import run_workflow

CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"
DOWNLOAD = "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093"
CACHE = "actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830"
ATTEST = "actions/attest-build-provenance@e8998f949152b193b063cb0ec769d69d929409be"


class Player:
    """Runs jobs given as YAML over a source tree of one file; each call is a run of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0

    def __call__(self, jobs: str, *, head: str = "on: push", **options: Any) -> Run:
        """Run jobs; ``head`` is what stands above them."""
        self.runs += 1
        folder, source = self.folder / f"run-{self.runs}", self.folder / "source"
        source.mkdir(exist_ok=True)
        (source / "data.txt").write_text("tracked\n")
        folder.mkdir()
        path = folder / "workflow.yml"
        path.write_text(f"{head}\njobs:\n" + textwrap.indent(textwrap.dedent(jobs), "  "))
        return run_workflow(path, folder=folder / "run", **({"source": source} | options))
