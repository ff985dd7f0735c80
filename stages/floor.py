"""Stage `floor`: the changes of CSA that another way of running and another training seed cause."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from .core.base.errors import run
from .core.base.files import whole_folder, write_csv, write_json
from .core.data.datasets.manifest import read_manifest
from .core.drift.rule.settings import Compare
from .core.drift.versions.folders import read_version
from .core.drift.versions.seeds import read_seeds, seed_floor
from .core.drift.versions.validity import validated
from .core.measures.cohort.settings import Floor
from .core.measures.cohort.variants import run_variants, runner_floor, some_cases, variants
from .core.measures.morphometry.levels import range_name
from .core.measures.morphometry.settings import Measure
from .core.model.bundle.content import read_bundle
from .core.model.localisation.search import make_predict
from .core.model.segmentation.settings import Segment
from .core.tables.monitored import range_csa

PACKAGE, MEASURED = Path("data/package"), Path("reports/measure")


def main() -> None:
    """Segment a few participants in other ways, and compare the trainings with other seeds."""
    segment, floor, measure, rule = Segment.read(), Floor.read(), Measure.read(), Compare.read()
    contrasts = segment.contrasts
    model = read_bundle(PACKAGE)
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in segment.datasets]
    candidate = read_version(MEASURED)
    valid, _ = validated(candidate, rule.min_dice, rule.max_centreline_mm)
    base = range_csa(valid.measures, "prediction", range_name(measure.levels))
    table = run_variants(
        variants(segment, floor),
        some_cases(manifests, contrasts, floor.participants),
        base,
        measure,
        lambda settings: make_predict(model, settings),
    )
    trained, others = read_seeds(Path("data/seeds"), candidate, PACKAGE)
    seeds = [seed_floor(seed, candidate, contrasts, rule) for seed in trained]
    for other in others:
        print(f"floor: seed {other}; it does not count.")
    with whole_folder(Path("reports/floor")) as part:
        write_csv(part / "floor.csv", table)
        rows = {"runner": list(map(_defined, runner_floor(table))), "seeds": list(map(_defined, seeds))}
        write_json(part / "floor.json", {"bundle": model.digest, **rows})


def _defined(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with None for a number that is not defined, as JSON has no NaN."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


if __name__ == "__main__":
    run(main)
