"""Stage ``floor``: what moves when nothing should, in the runner and between seeds."""

from __future__ import annotations

from pathlib import Path

from stages.core import bundle
from stages.core.cohort import read_manifest
from stages.core.columns import MEASURES_TEXT
from stages.core.drift.decision import plain
from stages.core.drift.versions import range_csa
from stages.core.errors import run
from stages.core.files import read_csv, whole_folder, write_csv, write_json
from stages.core.floors import run_variants, runner_floor, seed_floor, some_cases, variants
from stages.core.morphometry.levels import range_name
from stages.core.nnunet.inference import Predictor
from stages.core.params import load_params

PACKAGE, MEASURED = Path("data/package"), Path("reports/measure")


def main() -> None:
    """Run a few participants in other ways, and compare the seeds that were trained."""
    params = load_params()
    contrasts = params.segment.contrasts
    model = bundle.read(PACKAGE)
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in params.segment.datasets]
    measures = read_csv(MEASURED / "measures.csv", text=MEASURES_TEXT)
    base = range_csa(measures, "prediction", range_name(params.measure.levels))
    table = run_variants(
        variants(params.segment, params.floor),
        some_cases(manifests, contrasts, params.floor.participants),
        base,
        params.measure,
        lambda settings: Predictor(model, settings),
    )
    seeds, others = seed_floor(
        Path("data/seeds"), MEASURED, PACKAGE, contrasts, params.compare.min_contrasts, params.compare.alpha
    )
    for other in others:
        print(f"floor: seed {other}; it does not count.")
    with whole_folder(Path("reports/floor")) as part:
        write_csv(part / "floor.csv", table)
        rows = {"runner": [plain(row) for row in runner_floor(table)], "seeds": [plain(row) for row in seeds]}
        write_json(part / "floor.json", {"bundle": model.digest, **rows})


if __name__ == "__main__":
    run(main)
