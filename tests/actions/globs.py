"""Paths as the actions take them: several lines, ``*`` ``?`` ``[]`` ``**``, ``!`` excludes, ``~`` is the home."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SPECIAL = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Found:
    """Files that patterns select, and the folders or files where the search began."""

    files: list[Path]
    searched: list[Path]


def lines(text: str) -> list[str]:
    """Return the lines of an input that say something."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def matcher(pattern: str) -> re.Pattern[str]:
    """Return a pattern for a name or an absolute path; ``*`` stays within a folder, ``**`` goes below."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(signs.get(part) or (part if part[:1] == "[" else re.escape(part)) for part in parts))


def absolute(pattern: str, base: Path, home: Path) -> str:
    """Return a pattern as an absolute one, without ``.`` and a trailing ``/``."""
    if pattern == "~" or pattern.startswith("~/"):
        pattern = str(home) + pattern[1:]
    return os.path.normpath(base / pattern)


def find(patterns: Iterable[str], base: Path, *, home: Path, hidden: bool = True) -> Found:
    """Return the files that patterns select; a folder stands for all below it.

    Args:
        patterns: One a line, relative to ``base``; the last that matches a file decides.
        base: The workspace.
        home: What ``~`` is.
        hidden: Whether files and folders whose name begins with a dot count.
    """
    known = [(line.startswith("!"), absolute(line.removeprefix("!"), base, home)) for line in patterns]
    starts = sorted({_start(pattern) for excludes, pattern in known if not excludes})
    searched = [path for path in starts if not any(other != path and path.is_relative_to(other) for other in starts)]
    rules = [(excludes, matcher(pattern + "/**"), matcher(pattern)) for excludes, pattern in known]
    files: set[Path] = set()
    for start in searched:
        for path in _below(start, hidden):
            hits = [not excludes for excludes, *forms in rules if any(form.fullmatch(str(path)) for form in forms)]
            if hits and hits[-1]:
                files.add(path)
    return Found(sorted(files), searched)


def _start(pattern: str) -> Path:
    parts = Path(pattern).parts
    special = next((at for at, part in enumerate(parts) if SPECIAL.search(part)), len(parts))
    return Path(*parts[:special])


def _below(start: Path, hidden: bool) -> Iterable[Path]:
    if not hidden and start.name.startswith("."):
        return
    if start.is_file():
        yield start
    for folder, folders, names in os.walk(start, followlinks=True):
        if not hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if (hidden or not name.startswith(".")) and path.is_file():
                yield path
