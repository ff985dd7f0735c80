"""Fetch a dataset of the registry: clone it, download and verify the selected files, and write their manifest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.base.files import write_json
from .core.base.stage import matrix_item
from .core.data.clones.fetch import explain_fetch, fetch_dataset
from .core.data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from .core.data.datasets.selection import summarise_excluded
from .core.data.datasets.settings import Fetch, check_blocks


def main(argv: list[str] | None = None) -> None:
    """Fetch the dataset that ``argv`` names; ``argv`` defaults to the command line's arguments."""
    parser = argparse.ArgumentParser(prog="cordrift fetch", description=__doc__)
    parser.add_argument("--dataset", help="entry of the registry (with --dry-run by default all of fetch.datasets)")
    parser.add_argument(
        "--dry-run", action="store_true", help="clone without content and print what a fetch would download"
    )
    options = parser.parse_args(argv)
    check_blocks()
    settings = Fetch.read()
    if options.dry_run:
        explain_all([options.dataset] if options.dataset else settings.datasets)
        return
    name = matrix_item("fetch", options.dataset, "--dataset NAME (only with --dry-run it can be left out, for all)")
    dataset = entry(load_registry(REGISTRY), name)
    out = Path("data/fetch") / f"{name}.json"
    out.unlink(missing_ok=True)  # a fetch that fails must not leave the manifest of an earlier commit
    manifest = fetch_dataset(name, dataset, read_frozen(FROZEN), settings.jobs, _say)
    write_json(out, manifest.model_dump())
    print(f"fetch {name}: {len(manifest.cases)} images, {summarise_excluded(manifest.excluded)} (all of them in {out})")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def explain_all(names: list[str]) -> None:
    """Print what a fetch of each dataset would do; those that have no plan are named in one error at the end."""
    registry, frozen, failures = load_registry(REGISTRY), read_frozen(FROZEN), []
    for name in names:
        try:
            print("\n".join(explain_fetch(name, entry(registry, name), frozen)))
        except CordriftError as error:
            failures.append(f"{name}: {error}")
    if failures:
        raise CordriftError(" ".join(failures))


if __name__ == "__main__":
    run(main)
