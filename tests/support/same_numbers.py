"""Whether two finished workspaces hold the same numbers, to the last digit: digests, masks, tables and the verdict.

Run after every change that must move no number::

    python tests/support/same_numbers.py BEFORE AFTER

BEFORE and AFTER are workspaces such as ``.demo-micro``. Three things may differ: the id of the ruler, which names the
code that measured; times; and the commit of a generated dataset, in which its date counts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

#: Whole files whose bytes must agree. Pages and figures show these numbers and are not compared.
FILES = (
    "data/prepare/manifest.json",
    "data/package/model.json",
    "data/package/fold_*/progress.csv",
    "reports/segment/*/*/manifest.json",
    "reports/segment/*/*/**/*.nii.gz",
    "reports/floor/floor.csv",
    "reports/floor/floor.json",
    "reports/measure/agreement.csv",
    "reports/compare/*.csv",
    "reports/compare/metrics.json",
)
#: Files that also hold the id of the ruler, which is replaced before they are compared.
WITH_RULER = (
    "reports/measure/measures.csv",
    "reports/measure/summary.json",
    "reports/compare/drift.json",
    "reports/history/*/measures.csv",
    "reports/history/*/summary.json",
    "v1.json",
)
#: What a workspace has only after its second version.
OF_A_LATER_VERSION = {"reports/history/*/measures.csv", "reports/history/*/summary.json", "v1.json"}
#: Keys of records, and the column of a table, that say when something was done, or how long it took.
TIMES = {"when", "commit", "seconds"}


def differences(before: Path, after: Path) -> Iterator[str]:
    """Yield one line for each file that is not the same in both workspaces, or is missing in one of them."""
    rulers = [json.loads((side / "reports/measure/summary.json").read_text())["ruler"] for side in (before, after)]
    for pattern in (*FILES, *WITH_RULER):
        names = [{path.relative_to(side).as_posix() for path in side.glob(pattern)} for side in (before, after)]
        if not names[0] and pattern not in OF_A_LATER_VERSION:
            yield f"{pattern}: nothing of that name in {before}"
        for name in sorted(names[0] ^ names[1]):
            yield f"{name}: only in {before if name in names[0] else after}"
        for name in sorted(names[0] & names[1]):
            old, new = (
                _content(side / name, ruler if pattern in WITH_RULER else "")
                for side, ruler in zip((before, after), rulers, strict=True)
            )
            if old != new:
                yield f"{name}: {_first(old, new)}"


def _content(path: Path, ruler: str) -> bytes:
    """Return the bytes to compare: without the ruler's id and without times."""
    content = path.read_bytes()
    if ruler:
        content = content.replace(ruler.encode(), b"RULER").replace(ruler[:12].encode(), b"RULER")
    if path.suffix == ".json":
        return json.dumps(_timeless(json.loads(content)), indent=1, sort_keys=True).encode()
    if path.name == "progress.csv":
        rows = [line.split(",") for line in content.decode().splitlines()]
        kept = [column for column, name in enumerate(rows[0]) if name not in TIMES]
        return "\n".join(",".join(row[column] for column in kept) for row in rows).encode()
    return content


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in TIMES}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _first(old: bytes, new: bytes) -> str:
    """Say where two contents differ: the first line of text, or the digests of what is no text."""
    try:
        lines = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return f"{sha256(old).hexdigest()[:12]} is now {sha256(new).hexdigest()[:12]}"
    for number, (was, now) in enumerate(zip(*lines, strict=False), start=1):
        if was != now:
            return f"line {number} was {was[:100]!r}, is {now[:100]!r}"
    return f"{len(lines[0])} lines are now {len(lines[1])}"


def main() -> None:
    """Compare the workspaces of the command line; exit status 1 when they differ."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {Path(sys.argv[0]).name} BEFORE AFTER")
    before, after = map(Path, sys.argv[1:])
    found = list(differences(before, after))
    print("\n".join(found) or f"{before} and {after}: every digest, mask, table and verdict is the same")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
