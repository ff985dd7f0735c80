"""The syntax of Python source as text, from which the identity of code is computed.

Comments, layout, the place of a module and the version of Python leave this text as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

#: How the names of modules of this package begin; relative names begin with a dot. Their imports are left out.
_OWN = ("", "stages", "cordrift")


def syntax(source: str, *, own_imports: bool = False) -> str:
    """Return the syntax tree of Python source as text, which is the same on every supported version of Python.

    Docstrings are left out. Imports within this package are left out too, unless ``own_imports`` is true, because
    moving a module changes no number. Other imports are sorted and written at the end, as their order has no effect.
    """
    tree = ast.parse(source)
    return "\n".join([_text(tree), *sorted(_imports(tree, own_imports))])


def syntax_of(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the syntax of several modules below ``folder``, sorted, so that the names of the files have no effect."""
    return sorted(syntax((folder / name).read_text(encoding="utf-8")) for name in names)


def _text(value: object) -> str:
    """Write a node without its position and without empty fields.

    ``ast.dump`` writes another text on each version of Python: 3.12 added the field ``type_params`` to functions and
    empty constants to f-strings, and 3.13 leaves empty lists out.
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
    """Return the imports, one line for each name that is imported; those within this package only if ``own``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, f"import {alias.name} as {alias.asname}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {(module, f"from {module} import {alias.name} as {alias.asname}") for alias in node.names}
    return {line for module, line in found if own or module.split(".")[0] not in _OWN}
