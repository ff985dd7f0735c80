"""The tool that takes away one check at a time finds every ``raise`` of the readers, and takes away that one alone."""

from __future__ import annotations

import ast

import pytest
from support.guards import READERS, ROOT, Guard, guards, without

FOUND = guards()


def test_every_pattern_of_the_list_matches_a_module() -> None:
    core = ROOT / "stages/core"
    assert [pattern for pattern in READERS if not list(core.glob(pattern))] == []
    assert len(FOUND) > 200


def test_a_raise_that_passes_an_exception_on_is_no_check() -> None:
    source = (ROOT / "stages/core/store/client.py").read_text(encoding="utf-8")
    bare = [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise) and node.exc is None]
    assert bare
    assert not {guard.line for guard in FOUND if guard.module.endswith("store/client.py")} & set(bare)


@pytest.mark.parametrize("guard", FOUND, ids=lambda guard: guard.name)
def test_one_check_is_gone_and_nothing_else(guard: Guard) -> None:
    source = (ROOT / guard.module).read_text(encoding="utf-8")
    changed = without(source, guard)

    def raises(text: str) -> int:
        return sum(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(text)))

    assert raises(changed) == raises(source) - 1
    assert len(changed.split("\n")) == len(source.split("\n"))
