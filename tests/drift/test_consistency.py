"""A record whose verdict is better than its own numbers is found."""

from __future__ import annotations

from typing import Any

import pytest
from support.drift_factory import drift_record, drift_row, failures_row, judge, verdict

from stages.core.drift.judgement.consistency import contradictions
from stages.core.drift.record.record import Declared, DeclaredItem

BOTH = ["champion", "anchor"]


def _judged(*rows: Any, **given: Any) -> Any:
    usual = {"roles": BOTH, "drift": "equivalent", "quality": "same", "criteria": [failures_row()]}
    return judge(*(rows or (drift_row(),)), **{**usual, **given})


def _equivalent(*judges: Any, **given: Any) -> Any:
    return verdict("equivalent", **{"judges": list(judges or (_judged(),)), **given})


def _declared(*changed: str) -> Declared:
    items = [DeclaredItem(name="alpha", declared="0.05", now="0.05")]
    return Declared(when="2026-01-01T00:00:00+00:00", before_results=True, items=items, changed=list(changed))


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": _equivalent()},
        {"verdict": _equivalent(), "declared": _declared()},
        {"verdict": verdict("first", quality="first")},
        {"verdict": verdict("drifted", judges=[_judged(drift_row("drifted", 2.0), drift="drifted")])},
        {"verdict": verdict("inconclusive", judges=[_judged()], passed=False), "incomplete": ["a shard is missing"]},
        {"verdict": _equivalent(quality="worse", passed=False)},  # worse than its numbers is allowed
    ],
)
def test_a_verdict_that_follows_is_left_alone(fields: dict[str, Any]) -> None:
    assert contradictions(drift_record(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "clause"),
    [
        (
            {"verdict": verdict("drifted", passed=True)},
            "it says passed: true, and drift drifted with quality same does",
        ),
        (
            {"verdict": _equivalent(passed=False)},
            "it says passed: false, and drift equivalent with quality same passes",
        ),
        ({"verdict": verdict("first", quality="first", judges=[_judged()])}, "it says that it is a first version"),
        ({"verdict": verdict("first", quality="first"), "incomplete": ["a shard"]}, "it says first, and a part"),
        ({"verdict": _equivalent(), "offline": True}, "it says equivalent, and a part of the frozen set"),
        ({"verdict": _equivalent(_judged(roles=["champion"]))}, "it says equivalent, and anchor did not judge it"),
        ({"verdict": _equivalent(), "declared": _declared("alpha")}, "and alpha was changed after it was declared"),
        ({"verdict": _equivalent(_judged(drift_row("drifted", 2.0), drift="drifted"))}, "and a judge says drifted"),
        ({"verdict": _equivalent(_judged(quality="worse"))}, "it says quality same, and a judge says worse"),
        ({"verdict": _equivalent(judge(roles=BOTH, drift="equivalent"))}, "says equivalent without a row"),
        ({"verdict": _equivalent(_judged(drift_row("drifted", 2.0)))}, "says equivalent, and one of its rows drifted"),
        ({"verdict": _equivalent(_judged(drift_row(smallest_margin_mm2=1.5)))}, "where 1.5 would be needed"),
        ({"verdict": _equivalent(_judged(drift_row(n=6)))}, "equivalent with n = 6, and 30 are asked for"),
        ({"verdict": _equivalent(_judged(drift_row(margin_mm2=9.0)))}, "a margin of 9 mm2 is wider than its bound"),
        (
            {"verdict": _equivalent(_judged(criteria=[failures_row(verdict="worse")]))},
            "says quality same, and one of its criteria worse",
        ),
    ],
)
def test_a_verdict_that_is_better_than_its_numbers_is_found(fields: dict[str, Any], clause: str) -> None:
    assert any(clause in found for found in contradictions(drift_record(**fields)))
