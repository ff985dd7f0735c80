"""docs/reliability.md is what tests/faults.csv says, and each of its tests exists and checks something."""

from __future__ import annotations

from collections import Counter

import pytest
from support.faults import BEGIN, GROUPS, PAGE, Fault, checks_of, read_faults, tables

FAULTS = read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.test)
def test_the_test_of_a_row_exists_and_checks_something(fault: Fault) -> None:
    assert checks_of(fault.test) > 0, "rename it in tests/faults.csv, or delete the row"
    assert all(fault), "no cell is empty"
    assert "|" not in "".join(fault)


def test_there_are_enough_kinds_of_each_group_and_each_is_named_once() -> None:
    counts = Counter(fault.group for fault in FAULTS)
    assert set(counts) == set(GROUPS)
    assert min(counts.values()) >= 15
    assert len(FAULTS) >= 200
    assert [test for test, n in Counter(fault.test for fault in FAULTS).items() if n > 1] == []
    kinds = Counter((fault.group, fault.comes_in) for fault in FAULTS)
    assert [kind for kind, n in kinds.items() if n > 1] == []


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8").partition(BEGIN)[2] == f"\n\n{tables(FAULTS)}\n", (
        "run `python tests/support/faults.py`"
    )
