"""The syntax of Python source as text: what identifies code whatever its comments and layout are."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def syntax(source: str) -> str:
    """Return the syntax tree of Python source as text, without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)


def syntax_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the syntax of several modules below ``folder``, by name."""
    return {name: syntax((folder / name).read_text(encoding="utf-8")) for name in sorted(names)}
