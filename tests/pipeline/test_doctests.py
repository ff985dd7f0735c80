"""The examples in the docstrings of the library show what the code does."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "stages/core").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_right(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert tried, f"{name} holds '>>>', but no docstring with an example"
    assert failed == 0


def test_the_examples_of_the_ruler_and_of_drift_are_found() -> None:
    assert {f"stages.core.measures.morphometry.{name}" for name in ("csa", "levels", "table")} <= set(MODULES)
    assert {f"stages.core.drift.statistics.{name}" for name in ("bias", "csa_std")} <= set(MODULES)
