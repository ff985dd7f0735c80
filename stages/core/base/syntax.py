"""The syntax of Python source as text: it names code whatever its comments, layout, place and Python version are."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

#: How the names of modules of this package begin (relative ones with a dot): where a module lies decides no number.
_OWN = ("", "stages", "cordrift")


def syntax(source: str, *, own_imports: bool = False) -> str:
    """Return the syntax tree of Python source as text, the same on every supported Python.

    Docstrings are left out, and imports within this package unless ``own_imports``: moving a module changes no number.
    Other imports stand sorted at the end, because their order decides nothing.
    """
    tree = ast.parse(source)
    return "\n".join([_text(tree), *sorted(_imports(tree, own_imports))])


def syntax_of(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the syntax of several modules below ``folder``, sorted: how files are named decides nothing."""
    return sorted(syntax((folder / name).read_text(encoding="utf-8")) for name in names)


def _text(value: object) -> str:
    """Write a node without its position, and without what is empty.

    ``ast.dump`` would not do: Python 3.12 gave functions a field ``type_params`` and f-strings empty constants, and
    3.13 leaves empty lists out.
    """
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value if not isinstance(item, ast.Import | ast.ImportFrom)) + "]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = {name: getattr(value, name, None) for name in value._fields}
    if isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _is_docstring(value):
        fields["body"] = value.body[1:]
    if isinstance(value, ast.JoinedStr):
        fields["values"] = [part for part in value.values if not (isinstance(part, ast.Constant) and part.value == "")]
    inside = [f"{name}={_text(field)}" for name, field in fields.items() if field is not None and field != []]
    return f"{type(value).__name__}({', '.join(inside)})"


def _is_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether the body of a module, class or function begins with a docstring."""
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _imports(tree: ast.Module, own: bool) -> set[str]:
    """Return each import as one line; those within this package only where ``own``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, f"import {alias.name} as {alias.asname}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {(module, f"from {module} import {alias.name} as {alias.asname}") for alias in node.names}
    return {line for module, line in found if own or module.split(".")[0] not in _OWN}
