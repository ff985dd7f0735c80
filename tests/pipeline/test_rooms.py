"""The house has an order: rooms import from rooms below them, never in a circle and never back up."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

from support.house import WINGS
from support.imports import ROOT, file_of, imported

CORE = ROOT / "stages/core"
#: A room of this many modules or more wants to be split.
MANY = 13
#: Rooms that stay larger, each with the reason.
LARGE: dict[str, str] = {}
MOST_LINES = 450


def _sources() -> list[Path]:
    return [path for path in sorted(CORE.rglob("*.py")) if path.name != "__init__.py"]


def _room(path: Path) -> str:
    return path.parent.relative_to(CORE).as_posix()


def _edges() -> set[tuple[str, str, str]]:
    """Return (module, its room, the room that it imports from) for every import between rooms."""
    edges = set()
    for path in _sources():
        for name in imported(path):
            target = file_of(name)
            if target is not None and target.name != "__init__.py" and target.is_relative_to(CORE):
                edges.add((path.relative_to(CORE).as_posix(), _room(path), _room(target)))
    return {edge for edge in edges if edge[1] != edge[2]}


def test_every_wing_has_its_place() -> None:
    assert {path.name for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(WINGS)
    assert [path.name for path in CORE.glob("*.py")] == ["__init__.py"], "a module lies in a room"


def test_no_import_runs_back_up() -> None:
    def height(room: str) -> int:
        return WINGS.index(room.split("/")[0])

    assert [edge for edge in sorted(_edges()) if height(edge[1]) < height(edge[2])] == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for _, room, other in _edges():
        graph.setdefault(room, set()).add(other)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert set(order) >= set(graph)


def test_core_imports_no_stage() -> None:
    for path in _sources():
        stages = [name for name in imported(path) if (file := file_of(name)) and file.parent == ROOT / "stages"]
        assert not [name for name in stages if name != "stages"], path


def test_no_room_is_a_crowd_and_no_module_is_two() -> None:
    count: dict[str, int] = {}
    for path in _sources():
        count[_room(path)] = count.get(_room(path), 0) + 1
    for path in [*(ROOT / "stages").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        if "node_modules" in path.parts:
            continue
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path
    assert {room for room, n in count.items() if n >= MANY} == set(LARGE)


def test_tests_lie_in_wings_and_import_no_other_test() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {*WINGS, "pipeline", "support", "benchmarks", "golden", "lint"}
    assert [path.name for path in (ROOT / "tests").glob("*.py")] == ["conftest.py"]
    for path in (ROOT / "tests").rglob("test_*.py"):
        found = re.findall(
            r"^ *(?:from|import) (?:[\w.]*\.)?(test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert not found, f"{path.name} imports {found}"
