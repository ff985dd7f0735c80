"""The table of faults in docs/reliability.md: ``python tests/support/faults.py`` writes it from tests/faults.csv.

A row is a kind of fault with its own path through the code; a test with many examples of one kind counts once. The
tests of the table are looked up in the test modules, so that a row cannot name a test that is gone.
"""

from __future__ import annotations

import ast
import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TABLE, PAGE = ROOT / "tests/faults.csv", ROOT / "docs/reliability.md"
GROUPS = ("image", "table", "bundle", "zip", "record", "store", "address", "kill", "disk and environment")
#: The line of the page below which the tables stand.
BEGIN = "<!-- tests/support/faults.py writes what follows from tests/faults.csv -->"


class Fault(NamedTuple):
    """A row: the group, what comes in, what happens, and the test (``drift/test_record.py::test_x``)."""

    group: str
    comes_in: str
    happens: str
    test: str


def read_faults() -> list[Fault]:
    """Return the rows of the table."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        return [Fault(**row) for row in csv.DictReader(stream)]


def checks_of(test: str) -> int:
    """Return how many assertions and expected errors a test has; 0 where there is no such test."""
    name, _, function = test.partition("::")
    path = ROOT / "tests" / name
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    if function not in functions:
        return 0
    called = {node.id for node in ast.walk(functions[function]) if isinstance(node, ast.Name)} & functions.keys()
    return sum(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Attribute) and node.attr in {"raises", "fail"})
        for name in {function, *called}
        for node in ast.walk(functions[name])
    )


def tables(faults: list[Fault]) -> str:
    """Return the tables of all groups as Markdown."""
    counts = Counter(fault.group for fault in faults)
    parts = [f"{len(faults)} kinds of faults: {', '.join(f'{group} {counts[group]}' for group in GROUPS)}."]
    for group in GROUPS:
        rows = [f"| {one.comes_in} | {one.happens} | `{one.test}` |" for one in faults if one.group == group]
        parts.append(
            "\n".join([f"### {group.capitalize()}", "", "| comes in | happens | test |", "|---|---|---|", *rows])
        )
    return "\n\n".join(parts)


def main() -> None:
    """Write the page."""
    head = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(f"{head}{BEGIN}\n\n{tables(read_faults())}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
