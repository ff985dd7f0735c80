"""The examples in docstrings hold: those of drift a child can check by head."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest
from cords import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "stages/core").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_bias_and_spread_have_examples() -> None:
    assert {f"stages.core.drift.statistics.{name}" for name in ("bias", "csa_std")} <= set(MODULES)
