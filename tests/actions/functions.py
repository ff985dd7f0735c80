"""The functions of GitHub's expressions that need nothing but their arguments, and ``hashFiles``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actions import values
from actions.errors import WorkflowError
from actions.globs import find


def contains(search: Any, item: Any) -> bool:
    """Tell whether an array has a member, or a text holds another (case is ignored)."""
    if isinstance(search, list):
        return any(values.same(member, item) for member in search)
    return values.text(item).lower() in values.text(search).lower()


def formatted(pattern: Any, *arguments: Any) -> str:
    """Put arguments in place of ``{0}``, ``{1}``; ``{{`` and ``}}`` are braces."""

    def part(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found[1] is None or int(found[1]) >= len(arguments):
            raise WorkflowError(f"format({pattern!r}, ...): {found[0]!r} has no argument")
        return values.text(arguments[int(found[1])])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}|[{}]", part, values.text(pattern))


def joined(array: Any, separator: Any = ",") -> str:
    """Join the members of an array; a single value is itself."""
    return values.text(separator).join(map(values.text, array)) if isinstance(array, list) else values.text(array)


def from_json(source: Any) -> Any:
    """Read JSON.

    Raises:
        WorkflowError: the text is empty or no JSON.
    """
    try:
        return json.loads(values.text(source))
    except json.JSONDecodeError as error:
        raise WorkflowError(f"fromJSON({values.text(source)!r}): {error}") from error


def hash_files(workspace: Path, *patterns: Any) -> str:
    """Return one digest over the files of the workspace that patterns select, the empty text for none."""
    files = find([values.text(pattern) for pattern in patterns], workspace, home=workspace).files
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest() if files else ""


PURE: dict[str, Callable[..., Any]] = {
    "contains": contains,
    "startswith": lambda text, start: values.text(text).lower().startswith(values.text(start).lower()),
    "endswith": lambda text, end: values.text(text).lower().endswith(values.text(end).lower()),
    "format": formatted,
    "join": joined,
    "tojson": values.to_json,
    "fromjson": from_json,
}
