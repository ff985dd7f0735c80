"""Stage ``report``: one page that says what moved, with its figures and their numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder
from .core.data.datasets.manifest import read_manifest
from .core.drift.versions.settings import Register
from .core.measures.morphometry.settings import Measure
from .core.model.lineage.training import read_training
from .core.model.segmentation.predictions import read_shards
from .core.model.segmentation.settings import Segment
from .core.reports.drift_report.contours import Source
from .core.reports.drift_report.drawings import read_report_tables
from .core.reports.drift_report.report import kept_masks, write_report
from .core.reports.drift_report.settings import Report

HISTORY = Path("reports/history")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write reports/report: index.html, figures/ and resources.csv."""
    parser = argparse.ArgumentParser(prog="cordrift report", description=__doc__)
    parser.add_argument("--no-images", action="store_true", help="contours without anatomy, as report.images: false")
    hidden = parser.parse_args(arguments).no_images
    segment, settings, version = Segment.read(), Report.read(), Register.read()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in segment.datasets]
    segmentation = read_shards(Path("reports/segment"), segment.datasets, segment.shards)
    shards = [Path(f"reports/segment/{name}/{shard}") for name in segment.datasets for shard in segment.shards]
    tables = read_report_tables(
        Path("reports/measure"), Path("reports/compare"), HISTORY, Path("reports/survey"), shards
    )
    source = Source(manifests, segmentation, tables.measures, Measure.read().levels)
    kept = kept_masks(HISTORY, tables.drift.against, lambda text: print(text, file=sys.stderr))
    anatomy = settings.images and not hidden
    with whole_folder(Path("reports/report")) as part:
        write_report(
            part,
            tables,
            manifests,
            source,
            Path("data/monitored"),
            kept,
            read_training(Path("data/package")),
            title=settings.title,
            label=version.label,
            trial=version.trial,
            threshold=segment.threshold,
            anatomy=anatomy,
        )


if __name__ == "__main__":
    run(main)
