"""Write the commit to which a dataset's tag points into the registry."""

from __future__ import annotations

import argparse

from .core.base.errors import run
from .core.data.clones.annex import commit_of
from .core.data.datasets.registry import REGISTRY, entry, load_registry
from .core.workspace.runs.pin import pin_dataset


def main(argv: list[str] | None = None) -> None:
    """Ask the address of the dataset for the commit of its tag, and write that commit into the registry."""
    parser = argparse.ArgumentParser(prog="cordrift pin", description=__doc__)
    parser.add_argument("dataset", help="entry of the registry")
    parser.add_argument("--tag", help="another tag than the entry's")
    options = parser.parse_args(argv)
    dataset = entry(load_registry(REGISTRY), options.dataset)
    tag = options.tag or dataset.tag
    commit = commit_of(dataset.url, tag)
    pin_dataset(REGISTRY, options.dataset, tag, commit)
    print(f"{REGISTRY}: {options.dataset} is pinned to {tag}, commit {commit} (before: {dataset.commit or 'none'})")


if __name__ == "__main__":
    run(main)
