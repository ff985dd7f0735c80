"""Which files of the package a module imports, directly or through others: read from the syntax, nothing is run."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def file_of(module: str) -> Path | None:
    """Return the file of a module of the package, or None where the name is no module of it."""
    base = ROOT / module.replace(".", "/")
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    return base / "__init__.py" if (base / "__init__.py").is_file() else None


def imported(path: Path) -> set[str]:
    """Return every name that a file of the package imports from it, at any depth of nesting, as full dotted names."""
    package = path.relative_to(ROOT).parts[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "stages"}


def closure(module: str) -> set[str]:
    """Return the files (relative to the root) that running ``module`` imports, without the empty ``__init__`` files."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = file_of(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += imported(path)
    return {path.relative_to(ROOT).as_posix() for path in found if path.name != "__init__.py"}
