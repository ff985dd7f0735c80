"""Stage ``report``: one page that says what moved, with its figures and their numbers."""

from __future__ import annotations

from pathlib import Path

from stages.core.cohort import CLONES, read_manifest
from stages.core.errors import run
from stages.core.files import whole_folder
from stages.core.params import load_params
from stages.core.report import read_tables, write_report
from stages.core.segmented import read_shards


def main() -> None:
    """Write reports/report: index.html and figures/."""
    params = load_params()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in params.segment.datasets]
    segmentation = read_shards(Path("reports/segment"), params.segment.datasets, params.segment.shards)
    tables = read_tables(Path("reports/measure"), Path("reports/compare"), Path("reports/history"))
    with whole_folder(Path("reports/report")) as part:
        write_report(part, tables, params, manifests, segmentation, Path("data/monitored"), CLONES)


if __name__ == "__main__":
    run(main)
