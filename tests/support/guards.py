"""Take away each check of outside input in turn, and see a test fail: ``make check-guards``.

The checks are every ``raise`` in the readers of what comes from outside (:data:`READERS`). A first run of the tests
notes which test reaches which ``raise``. Then each ``raise`` is replaced by ``pass`` in a copy of the checkout, and the
tests that reach it run again. A check that no test reaches, and one without which all tests pass, is a failure. The
fast tests are asked first, and the slow ones only about the checks that no fast test misses.

Results are kept in ``.guards`` and used again for a module that has not changed, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).parents[2]
#: What reads images, tables, bundles, zips, records, stores, addresses and settings that others wrote.
READERS = (
    "base/errors.py",
    "base/files.py",
    "base/inventory.py",
    "base/params.py",
    "base/stage.py",
    "data/clones/*.py",
    "data/datasets/*.py",
    "data/trainset/*.py",
    "drift/record/*.py",
    "images/*.py",
    "measures/kept_masks/*.py",
    "measures/own_masks/*.py",
    "measures/published/*.py",
    "model/bundle/*.py",
    "model/lineage/manifest.py",
    "model/segmentation/*.py",
    "model/training/*.py",
    "release/github/*.py",
    "release/jobs/*.py",
    "store/*.py",
    "tables/*.py",
)
#: Tests that start whole workflows or trainings in other processes: they reach every room, and take minutes each.
LEFT_OUT = ("tests/release/test_workflows.py", "tests/pipeline/test_loop.py", "tests/pipeline/test_remotes.py")
#: So many of the tests that reach a check are run without it, the first ones by name.
MOST_TESTS = 6

UNREACHED = "no test reaches it"


@dataclass(frozen=True)
class Guard:
    """One ``raise``: its module, its first and last line, and its column."""

    module: str
    line: int
    last: int
    column: int

    @property
    def name(self) -> str:
        return f"{self.module}:{self.line}"


def guards(root: Path = ROOT) -> list[Guard]:
    """Return every ``raise`` of the readers that says something, and so not those that pass an exception on."""
    found = []
    core = root / "stages/core"
    for path in sorted({path for pattern in READERS for path in core.glob(pattern)}):
        module = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                found.append(Guard(module, node.lineno, node.end_lineno or node.lineno, node.col_offset))
    return sorted(found, key=lambda one: (one.module, one.line))


def without(source: str, guard: Guard) -> str:
    """Return the source with ``pass`` in the place of one ``raise``; the other lines keep their numbers."""
    lines = source.split("\n")
    lines[guard.line - 1] = " " * guard.column + "pass"
    lines[guard.line : guard.last] = [""] * (guard.last - guard.line)
    return "\n".join(lines)


def _copy(root: Path, to: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)


def reached(root: Path, work: Path, tests: list[str], marked: str) -> dict[str, list[str]]:
    """Run the tests so marked once and return for each check (``module:line``) those of them that reach it."""
    import coverage

    settings = work / "coveragerc"
    data = work / "coverage"
    settings.write_text(f"[run]\ndynamic_context = test_function\nsource = {root}/stages\ndata_file = {data}\n")
    # Not --ignore, which has no effect where a plugin decides what is collected.
    left_out = [f"--deselect={name}" for name in LEFT_OUT]
    coverage_run = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}"]
    subprocess.run([*coverage_run, "-m", "pytest", "-q", "-m", marked, *left_out, *tests], cwd=root, check=False)
    found = coverage.CoverageData(basename=str(data))
    found.read()
    out: dict[str, list[str]] = {}
    for guard in guards(root):
        contexts = found.contexts_by_lineno(str(root / guard.module))
        out[guard.name] = sorted({_test_of(root, name) for name in contexts.get(guard.line, [])} - {""})
    return out


def _test_of(root: Path, context: str) -> str:
    """Return a test as pytest names it: of ``tests.drift.test_line.test_x``, ``tests/drift/test_line.py::test_x``.

    Coverage takes each function for a test whose name begins with ``test``; the text is empty for functions elsewhere.
    """
    parts = context.split(".")
    for depth in range(len(parts), 0, -1):
        if (root / "/".join(parts[:depth])).with_suffix(".py").is_file():
            return "::".join(["/".join(parts[:depth]) + ".py", *parts[depth:]]) if parts[0] == "tests" else ""
    return ""


def survivors(root: Path, work: Path, wanted: list[Guard], tests: dict[str, list[str]]) -> Iterator[tuple[Guard, str]]:
    """Yield each wanted check that none of these tests misses when it is gone, with the reason."""
    known = work / "results.json"
    results: dict[str, str] = json.loads(known.read_text()) if known.is_file() else {}
    for guard in tqdm(wanted, desc="guards", unit="check"):
        path = root / guard.module
        source = path.read_text(encoding="utf-8")
        names = tests.get(guard.name, [])[:MOST_TESTS]
        state = hashlib.sha256(f"{source}{guard.line}{names}".encode()).hexdigest()
        # A check that survived is asked again: its tests may have become better.
        if results.get(state, UNREACHED):
            results[state] = _judge(root, path, source, guard, names)
            known.write_text(json.dumps(results))
        if results[state]:
            yield guard, results[state]


def _judge(root: Path, path: Path, source: str, guard: Guard, names: list[str]) -> str:
    if not names:
        return UNREACHED
    path.write_text(without(source, guard), encoding="utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *names]
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    finally:
        path.write_text(source, encoding="utf-8")
    return "" if done.returncode == 1 else f"all tests pass without it (pytest ended with {done.returncode})"


def main() -> None:
    """Run, and end with 1 where a check survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="checks whose module:line contains this text")
    parser.add_argument("--tests", nargs="+", default=["tests"], help="the tests that are asked (default: all)")
    options = parser.parse_args()
    work = ROOT / ".guards"
    checkout = work / "checkout"
    shutil.rmtree(checkout, ignore_errors=True)
    _copy(ROOT, checkout)
    source = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(checkout.rglob("*.py")))).hexdigest()
    wanted = [guard for guard in guards(checkout) if options.only in guard.name]
    count = len(wanted)
    left: list[tuple[Guard, str]] = []
    for marked in ("not slow", "slow"):
        asked = hashlib.sha256(f"{source}{options.tests}{marked}".encode()).hexdigest()
        noted = work / f"reached-{asked[:16]}.json"
        if not noted.is_file():
            noted.write_text(json.dumps(reached(checkout, work, options.tests, marked)))
        before = dict(left)
        found = survivors(checkout, work, wanted, json.loads(noted.read_text()))
        left = [(guard, before.get(guard, why) if why == UNREACHED else why) for guard, why in found]
        wanted = [guard for guard, _ in left]
        if not wanted:
            break
    for guard, why in left:
        print(f"{guard.name}: {why}")
    print(f"{count} checks, {len(left)} of them missed by no test")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
