"""The verdict of all judges together: champion and anchor, their rule, and what the gate asks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.drift_factory import CONTRASTS, drift_row, failures_row, judge, older, version
from support.verdict_factory import BOTH, RULE30, judged, people

from stages.core.drift.judgement.comparison import compare
from stages.core.drift.judgement.decision import decide, decision, unmeasured
from stages.core.drift.judgement.verdict import DRIFT
from stages.core.drift.record.record import Declared
from stages.core.drift.versions.version import Prior

pytestmark = pytest.mark.slow

# Champion, anchor and rule ---


def _measured(**counts: tuple[int, int]) -> pd.DataFrame:
    """A table of cases: contrast -> how many are measured, of how many."""
    rows = [
        (name, 80.0 if number < measured else np.nan)
        for name, (measured, total) in counts.items()
        for number in range(total)
    ]
    return pd.DataFrame(rows, columns=["contrast", "csa_mm2"])


@pytest.mark.parametrize(
    ("counts", "enough"),
    [
        ({"T1w": (6, 6), "T2w": (3, 6), "MTon": (6, 6), "DWI": (0, 6)}, True),
        ({"T1w": (6, 6), "T2w": (2, 6), "MTon": (6, 6), "DWI": (0, 6)}, False),
        ({"T1w": (0, 6), "T2w": (0, 6), "MTon": (0, 6), "DWI": (0, 6)}, False),
        ({"T1w": (1, 1), "T2w": (1, 1)}, True),  # all contrasts, where there are fewer than asked for
        ({"T1w": (1, 1), "T2w": (0, 0)}, False),
    ],
)
def test_a_first_version_must_measure_enough_to_be_judged_against(
    counts: dict[str, tuple[int, int]], enough: bool
) -> None:
    blind = unmeasured(_measured(**counts), list(counts), 3)
    assert (not blind) is enough
    found = decide([], priors=0, offline=False, blind=blind)
    assert (found.drift, found.passed) == (("first", True) if enough else ("inconclusive", False))
    if blind:
        assert "T1w" in blind[0]
        assert blind[0] in found.reasons


def test_a_gap_in_the_history_is_said_and_makes_it_inconclusive_even_for_a_first_version() -> None:
    gap = "the release v1 has a model but no record"
    for priors in (0, 1):
        found = decide([], priors=priors, offline=False, missing=[gap])
        assert (found.drift, found.passed) == ("inconclusive", False)
        assert gap in found.reasons


def test_five_small_steps_are_caught_by_the_anchor() -> None:
    """Each step of +0.4 passes against the champion of its day; against the anchor the second one already does not."""
    anchor = older(people(0.0, 0.05, seed=0), "0" * 64)
    champion, found = anchor, []
    for step in range(1, 6):
        new = version(people(0.4 * step, 0.05, seed=step))
        before = [(anchor, ("anchor",)), (champion, ("champion",))] if step > 1 else [(anchor, BOTH)]
        record = judged(new, *before)
        found.append({role: judge.drift for judge in record.judges for role in judge.roles})
        assert record.drift == found[-1]["anchor"]
        champion = older(people(0.4 * step, 0.05, seed=step), str(step) * 64)
    assert [step["champion"] for step in found] == ["equivalent"] * 5
    assert [step["anchor"] for step in found] == ["equivalent"] + ["drifted"] * 4


def test_the_first_version_is_judged_by_nothing_and_passes() -> None:
    record = judged(version(people()))
    assert (record.drift, record.quality, record.passed, record.judges) == ("first", "first", True, [])


def test_offline_nothing_passes() -> None:
    record = judged(version(people()), offline=True)
    assert (record.drift, record.passed) == ("inconclusive", False)
    assert "history was offline" in record.reasons[0]


@pytest.mark.parametrize("role", BOTH)
def test_champion_and_anchor_are_both_required(role: str) -> None:
    record = judged(version(people()), (older(people()), (role,)))
    absent = next(name for name in BOTH if name != role)
    assert (record.drift, record.quality, record.passed) == ("inconclusive", "same", False)
    assert f"none of 1 earlier version(s) is {absent}" in record.reasons[0]
    assert "`cordrift promote DIGEST --reason ...` makes one version both" in record.reasons[0]


@pytest.mark.parametrize("changes", [{"frozen": "e" * 64}, {"ruler": "e" * 64}, {"range": "C3"}])
def test_a_champion_that_cannot_be_compared_does_not_let_pass(changes: dict[str, str]) -> None:
    record = judged(version(people()), (older(people(), **changes), BOTH))
    assert (record.drift, record.quality, record.passed) == ("inconclusive", "unknown", False)
    assert "cannot be judged. It was measured" in record.reasons[0]


def declared(before_results: bool = True, **items: str) -> Declared:
    return Declared.model_validate(
        {
            "when": "2026-01-01T00:00:00+00:00",
            "before_results": before_results,
            "items": [{"name": name, "declared": text, "now": text} for name, text in items.items()],
            "changed": [],
        }
    )


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ({"alpha": "0.05", "contrasts": "T1w, T2w, DWI"}, "contrasts T1w, T2w, DWI, here T1w, T2w"),
        ({"alpha": "0.1", "contrasts": "T1w, T2w"}, "alpha 0.1, here 0.05"),
        ({"alpha": "0.05", "contrasts": "T1w, T2w", "margin_mm2": "0.65"}, "margin_mm2 0.65, here not declared"),
        (None, "By which rule it was judged is not on record"),
    ],
)
def test_a_judge_of_another_rule_cannot_judge(theirs: dict[str, str] | None, says: str) -> None:
    """A contrast that drifted and was dropped, a wider margin, another alpha: the judge was declared under another."""
    prior = Prior(older(people()).series, "v1", BOTH, older(people()), theirs)
    result = compare(
        version(people()), [prior], contrasts=CONTRASTS, rule=RULE30, offline=False,
        declared=declared(alpha="0.05", contrasts="T1w, T2w"),
    )  # fmt: skip
    verdict = result.drift.verdict
    assert (verdict.drift, verdict.passed) == ("inconclusive", False)
    assert says in verdict.reasons[0]
    assert result.drift.priors[0].marks == (["rule not known"] if theirs is None else ["other rule"])


def test_a_judge_of_the_same_rule_judges() -> None:
    same = {"alpha": "0.05", "frozen": "another set is another mark", "range": "C2-C3"}
    prior = Prior(older(people()).series, "v1", BOTH, older(people()), same)
    given = {"contrasts": CONTRASTS, "rule": RULE30, "offline": False}
    assert compare(version(people()), [prior], declared=declared(alpha="0.05"), **given).drift.verdict.passed


def test_declared_late_is_inconclusive() -> None:
    given = {"declared": declared(before_results=False)}
    prior = Prior(older(people()).series, "v1", BOTH, older(people()), {})
    verdict = compare(
        version(people()), [prior], contrasts=CONTRASTS, rule=RULE30, offline=False, **given
    ).drift.verdict
    assert (verdict.drift, verdict.passed) == ("inconclusive", False)
    assert "declared on 2026-01-01, when this version had results already" in verdict.reasons[0]


def test_other_priors_are_shown_and_judge_nothing() -> None:
    record = judged(version(people()), (older(people(5.0), "d" * 64), ()), (older(people()), BOTH))
    assert (record.drift, record.passed) == ("equivalent", True)
    record = judged(version(people()), (older(people()), ()))
    assert "none of 1 earlier version(s) is champion or anchor" in record.reasons[0]


@pytest.mark.parametrize("verdicts", [("equivalent", "drifted"), ("inconclusive", "equivalent"), ("equivalent",)])
def test_the_worse_judge_decides(verdicts: tuple[str, ...]) -> None:
    roles = [["anchor"], ["champion"]] if len(verdicts) == 2 else [list(BOTH)]
    judges = [
        judge(drift_row(verdict), digest="".join(of) * 9, roles=of, drift=verdict, criteria=[failures_row()])
        for verdict, of in zip(verdicts, roles, strict=True)
    ]
    found = decide(judges, priors=2, offline=False)
    assert found.drift == max(verdicts, key=DRIFT.index)
    assert found.passed == (set(verdicts) == {"equivalent"})


@pytest.mark.parametrize(
    ("quality", "passed"),
    [("better", True), ("same", True), ("not shown", False), ("unknown", False), ("worse", False)],
)
def test_the_gate_asks_for_both(quality: Any, passed: bool) -> None:
    assert decision("equivalent", quality, []).passed == passed
    assert not decision("drifted", quality, []).passed
    assert not decision("inconclusive", quality, []).passed


def test_the_margin_share_is_that_of_the_row_nearest_its_margin() -> None:
    """0.3 of 0.65 is nearer than 0.4 of 1."""
    judges = [
        judge(drift_row(smallest_margin_mm2=0.1), drift_row(smallest_margin_mm2=0.4)),
        judge(drift_row(smallest_margin_mm2=0.3, margin_mm2=0.65)),
    ]
    assert decision("equivalent", "same", [], judges).margin_share == pytest.approx(0.3 / 0.65)
    unknown = judge(drift_row("inconclusive", math.nan), drift_row(smallest_margin_mm2=0.1))
    assert math.isnan(decision("inconclusive", "same", [], [*judges, unknown]).margin_share)
    assert math.isnan(decision("first", "first", []).margin_share)
