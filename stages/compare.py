"""Stage ``compare``: the candidate against every prior version and the ground truth."""

from __future__ import annotations

from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder, write_csv, write_json
from .core.data.datasets.manifest import read_manifest
from .core.data.datasets.people import people_of_manifests
from .core.data.datasets.settings import Monitored
from .core.drift.judgement.comparison import compare, declared_record
from .core.drift.record.floors import read_floors
from .core.drift.record.metrics import metrics
from .core.drift.record.record import write_drift
from .core.drift.rule.protocol import items, read_protocol
from .core.drift.rule.settings import Compare
from .core.drift.versions.folders import read_decisions, read_gaps, read_priors, read_version
from .core.tables.change import change_over_time


def main() -> None:
    """Compare, and write the record ``drift.json`` with its tables."""
    monitored, rule = Monitored.read(), Compare.read()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in monitored.datasets]
    candidate = read_version(Path("reports/measure"))
    priors, offline = read_priors(Path("reports/history"), candidate.series)
    protocol = read_protocol(Path("reports/declare"), candidate.series.bundle)
    now = items(rule, monitored.contrasts, candidate.series.range, candidate.series.frozen)
    result = compare(
        candidate,
        priors,
        contrasts=monitored.contrasts,
        rule=rule,
        offline=offline,
        people=people_of_manifests(manifests),
        declared=declared_record(protocol, now),
        floors=read_floors(Path("reports/floor/floor.json")),
        gaps=read_gaps(Path("reports/history")),
        **read_decisions(Path("reports/history")),
    )
    with whole_folder(Path("reports/compare")) as part:
        for name, table in result.tables().items():
            write_csv(part / f"{name}.csv", table)
        # Not in `measure`: here the masks that miss the cord are known, and have no area.
        change = change_over_time(result.csa[result.csa["version"] == candidate.series.bundle])
        if len(change):
            write_csv(part / "change.csv", change)
        write_drift(part / "drift.json", result.drift)
        write_json(part / "metrics.json", metrics(result.drift))


if __name__ == "__main__":
    run(main)
