"""Expressions of workflow files, against the examples and tables of GitHub's documentation."""

from __future__ import annotations

import math
from typing import Any

import pytest
from actions import WorkflowError, values
from actions.document import ancestors, order
from actions.errors import StepError
from actions.expressions import evaluate, parse
from actions.functions import PURE
from actions.matrix import members

CONTEXTS: dict[str, Any] = {
    "github": {"ref": "refs/heads/main", "event": {"release": {"tag_name": "v1.0"}, "commits": [{"id": "a"}, {}]}},
    "needs": {"a": {"result": "success"}, "b": {"result": "failure"}},
    "vars": {"RUNNER": "GPU"},
    "matrix": {"n": 1},
}


def value(source: str) -> Any:
    return evaluate(parse(source), CONTEXTS, PURE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("null", None),
        ("true", True),
        ("711", 711),
        ("-9.2", -9.2),
        ("0xff", 255),
        ("-2.99e-2", -0.0299),
        ("'It''s open source!'", "It's open source!"),
        ("github.event.release.tag_name", "v1.0"),
        ("github['event'].release['tag_name']", "v1.0"),
        ("GitHub.Ref", "refs/heads/main"),
        ("github.event.commits[0].id", "a"),
        ("github.event.commits[7].id", None),
        ("github.event.none.deeper", None),
        ("github.event.commits.*.id", ["a"]),
        ("needs.*.result", ["success", "failure"]),
        ("join(needs.*.result, ' ')", "success failure"),
        ("contains(needs.*.result, 'FAILURE')", True),
        ("vars.RUNNER || 'ubuntu-24.04'", "GPU"),
        ("vars.NONE || 'ubuntu-24.04'", "ubuntu-24.04"),
        ("vars.RUNNER && 'gpu' || 'cpu'", "gpu"),
        ("1 < 2 == true", True),
        ("!false && false", False),
        ("!(true || false)", False),
        ("true || true && false", True),
        ("'abc' == 'ABC'", True),
        ("'a' < 'B'", True),
        ("null == 0", True),
        ("'' == 0", True),
        ("null == ''", True),
        ("true == 1", True),
        ("true == 'true'", False),
        ("'1' == 1", True),
        ("'x' == 0", False),
        ("NaN == NaN", False),
        ("NaN != NaN", True),
        ("'x' <= 'x'", True),
        ("'x' >= 5", False),
        ("format('{0} {{1}} {2}', 'a', 'b', 3)", "a {1} 3"),
        ("startsWith('Hello', 'he')", True),
        ("endsWith('Hello', 'LO')", True),
        ("contains('Hello', 'ell')", True),
        ("fromJSON('[1, 2]')[1]", 2),
        ("toJSON(matrix)", '{\n  "n": 1\n}'),
    ],
)
def test_an_expression_is_worth_what_github_says(source: str, expected: Any) -> None:
    found = value(source)
    assert found == expected
    assert isinstance(found, bool) is isinstance(expected, bool)


@pytest.mark.parametrize(
    "source", ["", "1 +", "nope()", '"double"', "a.", "(1", "a[1", "format('{1}', 'x')", "fromJSON('')", "secret.x"]
)
def test_what_is_no_expression_is_an_error(source: str) -> None:
    with pytest.raises(WorkflowError):
        value(source)


@pytest.mark.parametrize(
    ("found", "expected"),
    [(None, ""), (True, "true"), (1.0, "1"), (0.1, "0.1"), (math.nan, "NaN"), ([], "Array"), ({}, "Object")],
)
def test_values_become_text(found: Any, expected: str) -> None:
    assert values.text(found) == expected


def test_the_matrix_of_githubs_documentation() -> None:
    matrix = {
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    }
    assert members(matrix) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert members({"n": [1, 2], "os": ["a"], "exclude": [{"n": 1}]}) == [{"n": 2, "os": "a"}]
    assert members({"include": [{"n": 1}, {"n": 2}]}) == [{"n": 1}, {"n": 2}]
    assert members(None) == [{}]


def test_an_empty_matrix_fails_the_job() -> None:
    with pytest.raises(StepError, match="does not contain any values"):
        members({"shard": []})


def test_jobs_are_ordered_by_their_needs() -> None:
    jobs: dict[str, Any] = {"c": {"needs": ["b"]}, "b": {"needs": "a"}, "a": {}}
    assert order(jobs) == ["a", "b", "c"]
    assert ancestors(jobs, "c") == {"a", "b"}
    with pytest.raises(WorkflowError, match="circle"):
        order({"a": {"needs": "b"}, "b": {"needs": "a"}})
