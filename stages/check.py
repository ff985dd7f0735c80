"""Check a fetched dataset: find faults of its images, masks and disc labels before they are used."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder, write_csv
from .core.base.stage import matrix_item
from .core.data.datasets.findings import VOLUMES, write_findings
from .core.data.datasets.image_features import FEATURES
from .core.data.datasets.manifest import read_manifest
from .core.data.inspection.dataset import inspect_dataset
from .core.data.inspection.gallery import write_page
from .core.data.inspection.settings import Check

FILES = "For files of your own: cordrift check FILE ..., or cordrift check FOLDER/ (with a slash)."


def main(argv: list[str] | None = None) -> None:
    """Check the dataset that ``argv`` names. Findings are the result of this stage, so that it does not fail on any."""
    parser = argparse.ArgumentParser(prog="cordrift check", description=__doc__, epilog=FILES)
    named = parser.add_mutually_exclusive_group()
    named.add_argument("name", nargs="?", metavar="DATASET", help="entry of the registry, fetched already")
    named.add_argument("--dataset", help="the same, as for the other stages")
    options = parser.parse_args(argv)
    name = matrix_item("check", options.name or options.dataset, "the name of a dataset")
    settings = Check.read()
    manifest = read_manifest(Path(f"data/fetch/{name}.json"))
    table, findings, features = inspect_dataset(manifest, settings, processes=min(2, os.cpu_count() or 1))
    out = Path(f"data/check/{name}")
    with whole_folder(out) as part:
        write_csv(part / VOLUMES, table)
        write_findings(part, findings)
        write_csv(part / FEATURES, features)
        write_page(part / "index.html", manifest, table, findings)
    excluded, warned = int((table["errors"] > 0).sum()), int(((table["errors"] == 0) & (table["warnings"] > 0)).sum())
    print(
        f"check {name}: {len(table)} images, {excluded} excluded by errors, {warned} with warnings ({out}/index.html)"
    )


if __name__ == "__main__":
    run(main)
