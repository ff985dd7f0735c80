"""What the rule of `compare` would do, before it is declared: how often an unchanged version passes, what is caught.

The differences of past versions come from pairs of tables (--pair, as `cordrift compare-tables` reads them), or from
the versions and seeds of this workspace; where there are none, from the literature. The whole decision is
then simulated with the verdict's own code. Writes power.json, power.csv and power.png; the digest that is printed goes
into `compare.power` of params.yaml, and with it into the declaration.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from .core.base.errors import SettingsError, run
from .core.base.files import sha256_of, whole_folder, write_csv, write_json
from .core.data.datasets.manifest import read_manifest
from .core.data.datasets.people import people_of_manifests, people_of_table
from .core.data.datasets.settings import Monitored
from .core.drift.judgement.two_tables import in_order, version_of
from .core.drift.power.observed import Observed, observe
from .core.drift.power.plan import Cell, as_record, cells, simulate, suggest, truths
from .core.drift.record.floors import read_floors
from .core.drift.rule.settings import Compare, rule_at_hand
from .core.drift.versions.folders import read_past_pairs, read_version
from .core.drift.versions.seeds import read_seeds
from .core.drift.versions.version import MeasuredVersion
from .core.measures.morphometry.levels import parse_range, range_name
from .core.measures.published.any_table import read_any
from .core.pages.canvas import png_bytes
from .core.reports.drift_report.power import power_figure, say

MEASURE = Path("reports/measure")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordrift power", description=__doc__)
    parser.add_argument(
        "--pair", nargs=2, action="append", type=Path, default=[], metavar=("OLD", "NEW"),
        help="tables of two past versions, or of two seeds; repeat it for more",
    )  # fmt: skip
    parser.add_argument("--levels", default="C2-C3", metavar="RANGE", help="vertebrae (default: %(default)s)")
    parser.add_argument("--participants", type=Path, metavar="TSV", help="participants.tsv: sites and manufacturers")
    parser.add_argument("--params", type=Path, metavar="YAML", help="its block `compare` is the rule")
    parser.add_argument("--runs", type=int, default=4000, help="of each truth (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/power"), metavar="FOLDER")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, print what was found, and write it."""
    options = _parser().parse_args(arguments)
    if options.runs < 50:
        raise SettingsError(f"--runs is {options.runs}; expected 50 or more.")
    if options.output.exists() and not (options.output / "power.json").is_file():
        raise SettingsError(f"{options.output} exists and holds no power.json; name another folder with --output.")
    rule = Compare.read(options.params or rule_at_hand())
    observed = _observed(options, rule)
    bases, rule = truths(rule, observed)
    rows = simulate(cells(bases, rule, options.runs), rule, _progress)
    suggested = suggest(rows, rule)
    value = as_record(rows, suggested, observed, rule)
    with whole_folder(options.output) as part:
        write_json(part / "power.json", value)
        digest = sha256_of(part / "power.json")[:12]
        write_csv(part / "power.csv", pd.DataFrame(value["rows"]))
        (part / "power.png").write_bytes(png_bytes(power_figure(rows, rule)))
    print(say(rows, suggested, observed, rule))
    print(f"\nWritten: {options.output}. For the declaration, in params.yaml: compare.power: {digest}")


def _observed(options: argparse.Namespace, rule: Compare) -> Observed | None:
    """Return what past versions show, of the tables that were named or of this workspace; None where there are none."""
    levels = range_name(parse_range(options.levels))

    def read(path: Path) -> MeasuredVersion:
        return version_of(read_any(path, levels, rule.primary.kind), levels)

    pairs = [(read(new), read(old)) for old, new in options.pair]
    here = not pairs
    if here and (MEASURE / "summary.json").is_file():
        candidate = read_version(MEASURE)
        seeds, _ = read_seeds(Path("data/seeds"), candidate, Path("data/package"))
        pairs = [*read_past_pairs(Path("reports/history"), candidate.series), *((seed, candidate) for seed in seeds)]
    if not pairs:
        return None
    tables = [version.measures for pair in pairs for version in pair]
    contrasts = in_order(set.intersection(*(set(table["contrast"]) for table in tables)))
    if options.participants or not here:
        people = people_of_table(options.participants, pd.concat(tables))
    else:
        names = Monitored.read().datasets
        people = people_of_manifests(read_manifest(Path(f"data/fetch/{name}.json")) for name in names)
    floor = Path("reports/floor/floor.json")
    return observe(pairs, contrasts, rule, people, read_floors(floor) if here and floor.is_file() else None)


def _progress(found: Sequence[Cell]) -> Iterable[Cell]:
    return tqdm(found, "simulating", unit="truth", disable=None)


if __name__ == "__main__":
    run(main)
