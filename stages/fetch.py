"""Fetch one dataset of the registry: clone at the pinned commit, get what is selected, verify, write the manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.base.files import write_json
from .core.data.clones.fetch import explain, fetch
from .core.data.datasets.registry import entry, load_registry, read_frozen
from .core.data.datasets.settings import Fetch

REGISTRY = Path("data/datasets.yaml")
FROZEN = Path("data/frozen.csv")


def main(argv: list[str] | None = None) -> None:
    """Run the stage for the dataset that the arguments name (default: the command line's)."""
    parser = argparse.ArgumentParser(prog="cordrift fetch", description=__doc__)
    parser.add_argument("--dataset", help="entry of the registry (with --dry-run by default all of fetch.datasets)")
    parser.add_argument("--dry-run", action="store_true", help="clone names and keys only, and say what would come")
    options = parser.parse_args(argv)
    settings = Fetch.read()
    if options.dry_run:
        explain_all([options.dataset] if options.dataset else settings.datasets)
        return
    if options.dataset is None:
        raise CordriftError("fetch needs --dataset NAME; without it, only --dry-run looks at all datasets of params.")
    name = options.dataset
    dataset = entry(load_registry(REGISTRY), name)
    out = Path("data/fetch") / f"{name}.json"
    out.unlink(missing_ok=True)  # a fetch that fails leaves no manifest, not the one of an earlier commit
    manifest = fetch(name, dataset, read_frozen(FROZEN), settings.jobs)
    write_json(out, manifest.model_dump())
    print(f"fetch {name}: {len(manifest.cases)} images, {len(manifest.excluded)} left out (reasons in {out})")


def explain_all(names: list[str]) -> None:
    """Print what a fetch of each dataset would do; one that has no plan does not hide the others'."""
    registry, frozen, without = load_registry(REGISTRY), read_frozen(FROZEN), []
    for name in names:
        try:
            print("\n".join(explain(name, entry(registry, name), frozen)))
        except CordriftError as error:
            without.append(f"{name}: {error}")
    if without:
        raise CordriftError(" ".join(without))


if __name__ == "__main__":
    run(main)
