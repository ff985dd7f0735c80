"""Stage `measure`: cord morphometry of every monitored case, and its agreement with the reference."""

from __future__ import annotations

import sys
from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder, write_csv, write_json
from .core.data.datasets.manifest import frozen_digest, read_manifest, require_contrasts
from .core.drift.rule.protocol import read_protocol
from .core.measures.cohort.measurement import measure_cohort
from .core.measures.morphometry.levels import range_name
from .core.measures.morphometry.settings import Measure
from .core.model.segmentation.predictions import read_shards
from .core.model.segmentation.settings import Segment


def main() -> None:
    """Measure the shards and datasets that params name; other folders are ignored and counted."""
    segment, params = Segment.read(), Measure.read()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in segment.datasets]
    require_contrasts(segment.contrasts, manifests)
    segmentation = read_shards(Path("reports/segment"), segment.datasets, segment.shards)
    read_protocol(
        Path("reports/declare"), segmentation.bundle
    )  # the rule of the verdict must be declared before there are results
    if segmentation.ignored:
        print(
            f"measure: ignored {len(segmentation.ignored)} folder(s) that params do not name as a shard: "
            f"{', '.join(segmentation.ignored)}",
            file=sys.stderr,
        )
    measured = measure_cohort(manifests, segmentation, segment.contrasts, params)
    summary = {
        "bundle": segmentation.bundle,
        "inference": segmentation.inference,
        "ruler": measured.ruler,
        "frozen": frozen_digest(manifests),
        "cases": measured.cases,
        "failed": measured.failed,
        "range": range_name(params.levels),
        "lost": segmentation.lost,
    }
    with whole_folder(Path("reports/measure")) as part:
        write_csv(part / "measures.csv", measured.measures)
        write_csv(part / "agreement.csv", measured.agreement)
        write_json(part / "summary.json", summary)


if __name__ == "__main__":
    run(main)
