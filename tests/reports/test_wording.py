"""The report's sentences about one comparison."""

from __future__ import annotations

import math

import pytest
from support import drift_factory

from stages.core.drift.record.record import Decision
from stages.core.reports.drift_report.rows import plus_minus
from stages.core.reports.drift_report.wording import reasons, typeset


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("90 % interval -3.47 to 1 mm²", "90~% interval −3.47 to 1~mm²"),
        ("(-2.33 to 3.42); n = 6", "(−2.33 to 3.42); n~=~6"),
        ("new - old", "new − old"),
        ("C2-C3, v1-2, t-interval", "C2-C3, v1-2, t-interval"),
    ],
)
def test_numbers_are_typeset(text: str, shown: str) -> None:
    assert typeset(text).replace("\N{NO-BREAK SPACE}", "~") == shown


def verdict(*roles: str) -> Decision:
    judges = [drift_factory.judge(digest=role * 9, roles=[role]) for role in roles]
    said = [f"against {role} v1, CSA STD: better. Why" for role in roles]
    said.append(f"against {roles[0]} v1: 2 more rows are drifted")
    return drift_factory.verdict(judges=judges, reasons=said)


def test_one_judge_is_named_once() -> None:
    assert reasons(verdict("champion")) == ["CSA STD: better. Why", "2 more rows are drifted"]


def test_of_two_judges_each_reason_names_its_own() -> None:
    said = reasons(verdict("anchor", "champion"))
    assert said[:2] == [f"against {role} v1, CSA STD: better. Why" for role in ("anchor", "champion")]


@pytest.mark.parametrize(
    ("mean", "sd", "text"), [(2.417, 0.87, "2.42 ± 0.87"), (1.19, math.nan, "1.19"), (None, None, "–")]
)
def test_one_value_has_a_mean_and_no_sd(mean: float | None, sd: float | None, text: str) -> None:
    assert plus_minus(mean, sd) == text
