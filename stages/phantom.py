"""Generate a cohort of phantoms and publish it as a dataset, one revision at a time."""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.core import annex
from stages.core.errors import run
from stages.core.phantom.cohort import COHORTS, last_revision
from stages.core.phantom.publish import publish
from stages.core.registry import REGISTRY, load_registry, pin


def main(argv: list[str] | None = None) -> None:
    """Run the command; ``argv`` defaults to the command line's."""
    parser = argparse.ArgumentParser(prog="cordrift phantom", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=Path("data/phantom"), help="folder (default: %(default)s)")
    parser.add_argument("--cohort", default="demo", help=f"one of {', '.join(COHORTS)} (default: %(default)s)")
    parser.add_argument("--revision", help="up to this one, e.g. r1 (default: the cohort's last)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    options = parser.parse_args(argv)
    revision = options.revision or last_revision(options.cohort)
    commit = publish(options.out, options.cohort, revision, options.jobs)
    print(f"{options.out} holds cohort {options.cohort}, revision {revision}, commit {commit}")
    for name, tag in _pin(options.out, revision):
        print(f"{REGISTRY}: {name} is pinned to {tag}")


def _pin(out: Path, revision: str) -> list[tuple[str, str]]:
    """Pin every registry entry that lies at ``out``: training data to ``revision``, the frozen set to its own tag."""
    if not REGISTRY.is_file():
        return []
    pins = []
    for name, dataset in load_registry().datasets.items():
        if Path(dataset.url).resolve() == out.resolve():
            tag = revision if dataset.role == "train" else dataset.tag
            pin(REGISTRY, name, tag, annex.commit_of(str(out), tag))
            pins.append((name, tag))
    return pins


if __name__ == "__main__":
    run(main)
