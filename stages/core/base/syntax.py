"""The syntax of Python source as text, from which the identity of code is computed.

Comments, layout, the place of a module and the version of Python leave this text as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

#: How the names of modules of this package begin. Their imports are left out, as are relative ones.
_OWN = ("stages", "cordrift")


def syntax(source: str | bytes, *, imports_in_place: bool = False) -> str:
    """Return the syntax tree of Python source as text, which is the same on every supported version of Python.

    Docstrings are left out. Imports within this package are left out too, because moving a module changes no number.
    Other imports are sorted and written at the end, as their order has no effect. With ``imports_in_place`` every
    import stays where it is. Of bytes, the declaration of their encoding counts.

    Raises
    ------
    SyntaxError
        The source is not Python.
    """
    tree = ast.parse(source)
    if imports_in_place:
        return _text(tree, imports=True)
    return "\n".join([_text(tree, imports=False), *sorted(_foreign_imports(tree))])


def syntax_of(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the syntax of several modules below ``folder``, sorted, so that the names of the files have no effect."""
    return sorted(syntax((folder / name).read_text(encoding="utf-8")) for name in names)


def _text(value: object, *, imports: bool) -> str:
    """Write a node without its position and without empty fields, and without imports unless ``imports``.

    ``ast.dump`` writes another text on each version of Python: 3.12 added the field ``type_params`` to functions and
    empty constants to f-strings, and 3.13 leaves empty lists out.
    """
    if isinstance(value, list):
        kept = [item for item in value if imports or not isinstance(item, ast.Import | ast.ImportFrom)]
        return "[" + ", ".join(_text(item, imports=imports) for item in kept) + "]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = {name: getattr(value, name, None) for name in value._fields}
    if isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _is_docstring(value):
        fields["body"] = value.body[1:]
    if isinstance(value, ast.JoinedStr):
        fields["values"] = [part for part in value.values if not (isinstance(part, ast.Constant) and part.value == "")]
    inside = [
        f"{name}={_text(field, imports=imports)}" for name, field in fields.items() if field is not None and field != []
    ]
    return f"{type(value).__name__}({', '.join(inside)})"


def _is_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether the body of a module, class or function begins with a docstring."""
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _foreign_imports(tree: ast.Module) -> set[str]:
    """Return the imports of other packages, one line for each name that is imported."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, f"import {alias.name} as {alias.asname}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            found |= {(module, f"from {module} import {alias.name} as {alias.asname}") for alias in node.names}
    return {line for module, line in found if module.split(".")[0] not in _OWN}
