"""Reading, computing and writing run side by side, and give what they give one after the other."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.model.spread.steps import Steps
from stages.core.model.spread.streaming import stream


def _lost(item: int, why: str) -> int:
    raise AssertionError(f"in one process nothing is lost: {item}, {why}")


@given(st.lists(st.integers(), max_size=8))
def test_results_come_in_the_order_of_the_items(items: list[int]) -> None:
    steps = Steps(lambda item: item + 1, lambda item, read: (item, read * 2), lambda item, pair: [item, *pair], _lost)
    found = stream(items, steps)
    assert list(found) == [[item, item, (item + 1) * 2] for item in items]


def test_the_next_is_read_and_the_last_is_written_while_one_is_computed() -> None:
    reading = [threading.Event() for _ in range(4)]
    computing = [threading.Event() for _ in range(3)]

    def read(item: int) -> int:
        reading[item].set()
        return item

    def compute(item: int, _: int) -> int:
        computing[item].set()
        assert reading[item + 1].wait(20), "the next item is not read"
        return item

    def write(item: int, _: int) -> int:
        assert item == 2 or computing[item + 1].wait(20), "the next item waits for the writing"
        return item

    reading[3].set()
    assert list(stream(range(3), Steps(read, compute, write, _lost))) == [0, 1, 2]


def test_three_items_at_most_are_in_memory() -> None:
    held, most = 0, 0
    lock = threading.Lock()

    def read(item: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return item

    def write(item: int, _: int) -> int:
        nonlocal held
        with lock:
            held -= 1
        return item

    assert len(list(stream(range(50), Steps(read, lambda item, _: item, write, _lost)))) == 50
    assert 2 <= most <= 3


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_an_error_comes_out_and_what_was_done_before_is_whole(step: str) -> None:
    written = []

    def fail_at(name: str, item: int) -> int:
        if (name, item) == (step, 2):
            raise OSError("no space")
        return item

    def write(item: int, _: int) -> int:
        written.append(fail_at("write", item))
        return item

    steps = Steps(lambda item: fail_at("read", item), lambda item, _: fail_at("compute", item), write, _lost)
    results = stream(range(9), steps)
    with pytest.raises(OSError, match="no space"):
        list(results)
    assert written[:2] == [0, 1]
    assert len(written) <= 3  # with a failed writing the next one may have been computed already
