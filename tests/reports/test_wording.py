"""The report's sentences about one comparison."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support import drift_factory

from stages.core.drift.record.floors import Floors
from stages.core.drift.record.record import Acceptance, Decision, DriftRecord, DriftRow
from stages.core.reports.drift_report.charts import colours
from stages.core.reports.drift_report.drawings import nearest
from stages.core.reports.drift_report.rows import in_floors, plus_minus
from stages.core.reports.drift_report.wording import (
    Shown,
    advice,
    headline,
    meaning,
    nearest_margin,
    number,
    reasons,
    shown_versions,
    typeset,
)


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


def drift(
    low: float = 0.1, high: float = 0.2, bias: float = 0.2, *judged: DriftRow, verdict: str = "drifted"
) -> DriftRecord:
    """A record of the candidate ``d`` beside ``b``; ``judged`` are rows of the verdict on that prior."""
    needed = max((row.smallest_margin_mm2 / row.margin_mm2 for row in judged), default=math.nan)
    pooled = drift_factory.bias_row(bias, ci_low_mm2=low, ci_high_mm2=high)
    return drift_factory.drift_record(
        priors=[drift_factory.prior_record("b", pooled=pooled)],
        verdict=drift_factory.verdict(verdict, margin_share=needed, judges=[drift_factory.judge(*judged)]),
    )


def row(inner_low: float, inner_high: float, n: int = 49) -> DriftRow:
    ends = {"inner_low_mm2": inner_low, "inner_high_mm2": inner_high}
    needed = max(abs(inner_low), abs(inner_high))
    return drift_factory.drift_row(contrast="pooled", n=n, smallest_margin_mm2=needed, margin_mm2=0.65, **ends)


SHOWN = [Shown("b", "v1", "prior"), Shown("d", "v2", "candidate")]


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-0.1, 0.5, "lies inside"),
        (-0.7, 0.5, "reaches beyond"),
        (0.5, 0.7, "reaches beyond"),
        (-0.65, 0.5, "reaches beyond"),
        (0.7, 0.9, "lies outside"),
        (-0.9, -0.7, "lies outside"),
        (math.nan, math.nan, "One participant gives no interval"),
    ],
)
def test_the_headline_places_the_interval(low: float, high: float, says: str) -> None:
    assert says in headline(drift(low, high), SHOWN)[1]


def test_the_headline_asks_the_interval_that_the_verdict_asks() -> None:
    """The 95 % interval reaches over the margin, the 90 % one does not: the verdict is equivalent, and so is said."""
    said = headline(drift(-0.01, 0.66, 0.3, row(0.05, 0.6), verdict="equivalent"), SHOWN)[1]
    assert said.startswith(
        "Over all contrasts the 90 % interval (0.05 to 0.60 mm²) lies inside the pooled margin of ±0.65 mm²"
    )
    assert "not enough" not in said
    apart = headline(drift(-0.1, 0.1, 0.0, row(-0.1, 0.1)), SHOWN)[1]
    assert "lies inside" in apart
    assert "That alone is not enough" in apart, "contrasts moved apart"


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("first", "moved from. It passes the gate."),
        ("equivalent", "smaller than its margin. It passes the gate."),
        ("drifted", "convert its values with the factors below. It does not pass"),
        ("inconclusive", "It is not shown that every measured area stayed inside its margin"),
    ],
)
def test_what_a_verdict_means_is_said(verdict: str, says: str) -> None:
    assert says in meaning(drift_factory.drift_record(verdict=drift_factory.verdict(verdict)))


@pytest.mark.parametrize(
    ("drift", "quality", "old", "says"),
    [
        ("first", "first", "", "Use v2 in new studies, after a look at its failures"),
        ("equivalent", "same", "v1", "Use v2: its areas can stand beside those of v1."),
        ("equivalent", "worse", "v1", "Do not use v2 in the place of v1: it measures worse."),
        ("equivalent", "not shown", "v1", "it is not shown to measure as well. Ask"),
        ("drifted", "same", "v1", "Do not use v2 in a study that has areas of v1: they moved."),
        ("inconclusive", "same", "v1", "Do not use v2 beside v1 yet"),
        ("inconclusive", "unknown", "", "Do not use v2 yet: it was compared with no earlier version."),
    ],
)
def test_the_first_sentence_says_what_to_do(drift: Any, quality: Any, old: str, says: str) -> None:
    passed = drift == "first" or (drift == "equivalent" and quality == "same")
    decided = drift_factory.verdict(drift, quality=quality, passed=passed)
    record = drift_factory.drift_record(verdict=decided)
    assert says in advice(record, "v2", old)
    assert "it is a trial" in advice(record, "v2", old, trial=True)


def test_who_accepted_a_version_is_said_first() -> None:
    accepted = [Acceptance(who="Ada", when="2026-01-02T10:00:00+00:00", why="new coil")]
    record = drift_factory.drift_record(verdict=drift_factory.verdict("drifted"), accepted=accepted)
    assert advice(record, "v2", "v1") == (
        "Use v2: Ada accepted it on 2026-01-02 (new coil). Areas of v1 are converted first."
    )
    assert meaning(record).endswith("It did not pass by itself; a person accepted it.")


def test_the_row_nearest_its_margin_is_named_and_no_promise_to_few() -> None:
    assert nearest_margin(drift(0.1, 0.2)) == ""
    said = nearest_margin(drift(0.1, 0.2, 0.2, row(0.1, 0.6)))
    assert "Of all rows pooled lies nearest" in said
    assert "needs ±0.60 mm², inside the ±0.65 mm²" in said
    assert "beyond the ±0.65 mm²" in nearest_margin(drift(0.1, 0.2, 0.2, row(0.1, 0.7)))
    assert "none passes" not in said
    few = nearest_margin(drift(0.1, 0.2, 0.2, row(0.1, 0.6, n=6)))
    assert few.endswith("With n = 6 none passes: 30 participants are asked for.")


@pytest.mark.parametrize(("bias", "says"), [(0.0, "is no more than"), (0.1, "is beyond")])
def test_a_floor_of_nothing(bias: float, says: str) -> None:
    floors = Floors(runner=[drift_factory.runner_floor(0.0)], seeds=[])
    record = drift(-0.1, 0.1, bias).model_copy(update={"floors": floors})
    assert f"{says} the runner's largest mean change, which is 0" in in_floors(record)


def test_a_chart_of_many_versions_shows_those_that_judge() -> None:
    shown = [Shown(f"p{k}", f"v{k}.0", "prior") for k in range(9)] + [Shown("d", "v9.0", "candidate")]
    priors = [drift_factory.prior_record(f"p{k}", aliases=["anchor"] if k == 2 else []) for k in range(9)]
    record = drift_factory.drift_record(against="p8", priors=priors)
    assert [item.version for item in nearest(record, shown)] == ["p2", "p8", "d"]
    assert nearest(record, shown[-6:]) == shown[-6:]
    used = colours(shown)
    assert len({used[f"p{k}"] for k in range(9)}) == 1, "no colour stands for two versions"
    assert len(set(colours(shown[-6:]).values())) == 6


@pytest.mark.parametrize(
    ("low", "high", "bias", "says"),
    [
        (0.1, 0.3, 0.2, "v2 measures the cord 0.20 mm² larger than v1"),
        (-1.3, -1.1, -1.234, "v2 measures the cord 1.23 mm² smaller than v1"),
        (-0.1, 0.3, 0.1, "The mean difference v2 − v1 at C2-C3 is +0.10 mm², and 0 is not excluded"),
        (-8.0, 8.0, 0.001, "0 is not excluded"),
        (0.0, 0.0, 0.0, "measures exactly the areas of v1"),
        (math.nan, math.nan, math.nan, "in common"),
    ],
)
def test_the_headline_has_a_direction_only_where_the_interval_excludes_0(
    low: float, high: float, bias: float, says: str
) -> None:
    said = headline(drift(low, high, bias), SHOWN)[0]
    assert says in said
    assert ("larger" in said or "smaller" in said) == (low > 0 or high < 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.005, "1.00"), (-0.5, "−0.50"), (-0.001, "0.00"), (None, "–"), (float("nan"), "–"), (3, "3.00")],
)
def test_numbers_are_written_as_people_write_them(value: float | None, text: str) -> None:
    assert number(value) == text


def test_equal_labels_are_told_apart() -> None:
    versions = [
        drift_factory.version_record(digest * 64, role, label=label)
        for digest, label, role in (("a", "v1", "prior"), ("b", "", "prior"), ("d", "", "candidate"))
    ]
    shown = shown_versions(drift_factory.drift_record(versions=versions), "v1")
    assert [item.label for item in shown] == ["v1 (aaaaaa)", "b" * 12, "v1 (dddddd)"]
