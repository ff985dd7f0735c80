"""Stage ``report``: one page that says what moved, with its figures and their numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages.core.cohort import read_manifest
from stages.core.contours import Source
from stages.core.drawings import read_tables
from stages.core.errors import run
from stages.core.files import whole_folder
from stages.core.params import load_params
from stages.core.report import kept_masks, write_report
from stages.core.segmented import read_shards

HISTORY = Path("reports/history")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write reports/report: index.html and figures/."""
    parser = argparse.ArgumentParser(prog="cordrift report", description=__doc__)
    parser.add_argument("--no-images", action="store_true", help="contours without anatomy, as report.images: false")
    hidden = parser.parse_args(arguments).no_images
    params = load_params()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in params.segment.datasets]
    segmentation = read_shards(Path("reports/segment"), params.segment.datasets, params.segment.shards)
    tables = read_tables(Path("reports/measure"), Path("reports/compare"), HISTORY)
    source = Source(manifests, segmentation, tables.measures, params.measure.levels)
    kept = kept_masks(HISTORY, tables.drift["against"])
    anatomy = params.report.images and not hidden
    with whole_folder(Path("reports/report")) as part:
        write_report(part, tables, params, manifests, source, Path("data/monitored"), kept, anatomy=anatomy)


if __name__ == "__main__":
    run(main)
