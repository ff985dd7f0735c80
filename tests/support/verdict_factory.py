"""Verdicts on made-up tables of CSA, by the whole way from the tables of two versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from stages.core.drift.judgement.comparison import compare
from stages.core.drift.judgement.evidence import Evidence, Failed, differences, people_of_cases
from stages.core.drift.judgement.judges import Case, judge_all
from stages.core.drift.record.record import Decision, DriftRow, QualityRow
from stages.core.drift.rule.settings import Compare
from stages.core.drift.statistics.bias import pair
from stages.core.drift.versions.version import MeasuredVersion, Prior
from support.drift_factory import CONTRASTS, METRIC, RULE, csa_table

RULE30 = RULE.model_copy(update={"min_participants": 30})
N = 49
BOTH = ("anchor", "champion")


def people(
    shift: dict[str, float] | float = 0.0, spread: float = 0.0, n: int = N, seed: int = 1
) -> dict[str, list[float]]:
    """CSA of n participants in six contrasts, moved by ``shift`` with noise of ``spread`` per case."""
    rng, noise = np.random.default_rng(7), np.random.default_rng(seed)
    base = rng.normal(76, 6, N)
    move = dict.fromkeys(CONTRASTS, shift) if isinstance(shift, float) else shift
    return {
        f"sub-{k:02d}": [float(base[k] + move.get(c, 0.0) + spread * noise.normal()) for c in CONTRASTS]
        for k in range(n)
    }


def table_of_sites(names: list[str], sites: dict[str, str] | None = None, **groups: dict[str, str]) -> pd.DataFrame:
    """The table of participants, in which nothing is known but what is given."""
    rows = pd.DataFrame({"dataset": "set", "participant": names})
    rows["site"] = [(sites or {}).get(name, "") for name in names]
    for attribute in ("manufacturer", "sex", "age", "pathology"):
        rows[attribute] = [groups.get(attribute, {}).get(name, "") for name in names]
    return rows


def judge_tables(new: pd.DataFrame, old: pd.DataFrame, rule: Compare = RULE30, contrasts: list[str] = CONTRASTS) -> Any:
    """One judge over two tables of CSA."""
    pairs = pair(new, old)
    known = table_of_sites(sorted(pairs["participant"].unique()))
    of = people_of_cases(pairs, known, rule.watched)
    evidence = Evidence(of, {METRIC.name: differences(pairs, of, contrasts)}, {}, Failed(0, 0, 0, len(pairs)))
    return judge_all([Case("b", "v1", list(BOTH), "", evidence)], rule)[0]


def rows(new: dict[str, list[float]], old: dict[str, list[float]], rule: Compare = RULE30) -> dict[str, DriftRow]:
    return {row.contrast: row for row in judge_tables(csa_table(new), csa_table(old), rule).rows}


def judged(
    candidate: MeasuredVersion, *priors: tuple[MeasuredVersion, tuple[str, ...]], offline: bool = False, **given: Any
) -> Decision:
    """The verdict; priors with their aliases."""
    before = [Prior(p.series, f"v{k}", aliases, p) for k, (p, aliases) in enumerate(priors, start=1)]
    return compare(
        candidate, before, contrasts=CONTRASTS, rule=given.pop("rule", RULE30), offline=offline, **given
    ).drift.verdict


def criterion(new: list[float], old: list[float], rule: Compare = RULE30) -> QualityRow:
    """CSA STD of two versions by participant, judged."""
    names = [f"sub-{k:02d}" for k in range(len(new))]
    table = csa_table({name: [70.0] * 6 for name in names})
    pairs = pair(table, table)
    of = people_of_cases(pairs, table_of_sites(names), rule.watched)
    evidence = Evidence(
        of,
        {METRIC.name: differences(pairs, of, CONTRASTS)},
        {"csa_std_mm2": np.column_stack([new, old])},
        Failed(0, 0, 0, len(pairs)),
    )
    row: QualityRow = judge_all([Case("b", "v1", list(BOTH), "", evidence)], rule)[0].criteria[0]
    return row
