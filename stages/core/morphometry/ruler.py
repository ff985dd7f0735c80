"""The identity of the ruler: two numbers are compared only when the same ruler measured both."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

from stages.core.files import digest_of
from stages.core.params import Measure

#: The modules whose code decides a number.
MODULES = ("centreline.py", "csa.py", "levels.py", "table.py")
LIBRARIES = ("numpy", "scipy", "nibabel")


def ruler_id(params: Measure) -> str:
    """Return 64 hexadecimal digits that change with the measuring code, its parameters or its libraries.

    Comments, docstrings and layout of the code do not count.
    """
    folder = Path(__file__).parent
    code = {name: syntax(folder.joinpath(name).read_text(encoding="utf-8")) for name in MODULES}
    libraries = {name: version(name) for name in LIBRARIES}
    return digest_of({"code": code, "params": params.model_dump(mode="json"), "libraries": libraries})


def syntax(source: str) -> str:
    """Return the syntax tree of Python source as text, without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)
