"""What the rule of `compare` would do, before it is declared: how often an unchanged version passes, what is caught.

The differences of past versions come from pairs of tables (--pair, as `cordrift compare-tables` reads them), or from
the versions that `history` left in this workspace; where there are none, from the literature. The whole decision is
then simulated with the verdict's own code. Writes power.json, power.csv and power.png; the digest that is printed goes
into `compare.power` of params.yaml, and with it into the declaration.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from .core.base.errors import SettingsError, run
from .core.base.files import sha256_of, whole_folder, write_csv, write_json
from .core.data.datasets.people import people_of_table
from .core.drift.judgement.two_tables import in_order, version_of
from .core.drift.power.observed import Observed, observe
from .core.drift.power.plan import Cell, Row, Suggestion, cells, rule_for, simulate, suggest
from .core.drift.power.scenario import Scenario
from .core.drift.rule.settings import Compare, rule_at_hand
from .core.drift.versions.folders import read_past_pairs
from .core.drift.versions.version import MeasuredVersion
from .core.measures.morphometry.levels import parse_range, range_name
from .core.measures.published.any_table import read_any
from .core.pages.canvas import png_bytes
from .core.reports.drift_report.power import power_figure, say

HISTORY, MEASURE = Path("reports/history"), Path("reports/measure")
#: Correlations between contrasts that are tried, and the ICC of sites, where a lab has no data of its own.
CORRELATIONS, ICC = (0.3, 0.0, 0.6), 0.3
Pairs = list[tuple[MeasuredVersion, MeasuredVersion]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, print what was found, and write it."""
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
    options = parser.parse_args(arguments)
    if options.runs < 50:
        raise SettingsError(f"--runs is {options.runs}; expected 50 or more.")
    if options.output.exists() and not (options.output / "power.json").is_file():
        raise SettingsError(f"{options.output} exists and holds no power.json; name another folder with --output.")
    rule = Compare.read(options.params or rule_at_hand())
    pairs = (
        _pairs(options.pair, range_name(parse_range(options.levels)), rule)
        if options.pair
        else read_past_pairs(HISTORY, MEASURE)
    )
    observed = None
    if pairs:
        versions = [one for both in pairs for one in both]
        contrasts = in_order(set.intersection(*(set(one.measures["contrast"]) for one in versions)))
        people = {person for one in versions for person in one.measures["participant"]}
        observed = observe(pairs, contrasts, rule, people_of_table(options.participants, people))
        if observed is None:
            raise SettingsError("fewer than three people have both values of a pair in a contrast.")
    rule = rule_for(rule, observed)
    bases = [observed.scenario()] if observed else [Scenario(icc=ICC, correlation=rho) for rho in CORRELATIONS]
    rows = simulate(cells(bases, rule, options.runs), rule, _progress)
    suggested = suggest(rows, rule)
    value = {
        "observed": None if observed is None else _defined(replace(observed, rows=())),
        "rule": rule.model_dump(exclude={"power"}),
        "runs": options.runs,
        "suggested": [_defined(one) for one in suggested],
        "rows": [_defined(row) for row in rows],
    }
    with whole_folder(options.output) as part:
        write_json(part / "power.json", value)
        digest = sha256_of(part / "power.json")[:12]
        write_csv(part / "power.csv", pd.DataFrame(value["rows"]))
        (part / "power.png").write_bytes(png_bytes(power_figure(rows, rule)))
    print(say(rows, suggested, observed, rule))
    print(f"\nWritten: {options.output}. For the declaration, in params.yaml: compare.power: {digest}")


def _defined(one: Observed | Suggestion | Row) -> dict[str, Any]:
    """Return the fields with None in the place of what is not defined."""
    return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in asdict(one).items()}


def _progress(found: Sequence[Cell]) -> Iterable[Cell]:
    return tqdm(found, "simulating", unit="truth", disable=None)


def _pairs(named: Sequence[tuple[Path, Path]], levels: str, rule: Compare) -> Pairs:
    def read(path: Path) -> MeasuredVersion:
        return version_of(read_any(path, levels, rule.primary.kind), levels)

    return [(read(new), read(old)) for old, new in named]


if __name__ == "__main__":
    run(main)
