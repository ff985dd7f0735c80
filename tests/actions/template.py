"""Text with ``${{ }}`` in it, and conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from actions import values
from actions.errors import WorkflowError
from actions.expressions import Node, evaluate, has_status, parse

EXPRESSION = re.compile(r"\$\{\{((?:'(?:[^']|'')*'|[^'])*?)\}\}", re.DOTALL)


def expressions(text: str) -> list[Node]:
    """Return the expressions within a text.

    Raises:
        WorkflowError: a ``${{`` is not closed.
    """
    found = EXPRESSION.findall(text)
    if len(found) != text.count("${{"):
        raise WorkflowError(f"{text!r}: a '${{{{' is not closed by '}}}}'")
    return [parse(source.strip()) for source in found]


def whole(text: str) -> str | None:
    """Return the expression that a text is from end to end, if it is one alone."""
    text = text.strip()
    found = EXPRESSION.match(text)
    return found[1].strip() if found and found.end() == len(text) else None


def condition(value: Any) -> Node:
    """Return the expression of an ``if``, with the ``success()`` that GitHub implies.

    Raises:
        WorkflowError: text stands beside ``${{ }}``: GitHub would take the whole as a text, which always holds.
    """
    text = "success()" if value is None else values.text(value).strip()
    alone = whole(text)
    if alone is None and "${{" in text:
        raise WorkflowError(f"if: {text!r} holds always: it has text beside '${{{{ }}}}'")
    node = parse(text if alone is None else alone)
    return node if has_status(node) else Node("&&", None, (Node("call", "success"), node))


def fill(value: Any, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return a YAML value with its expressions evaluated; one that is nothing else keeps its type."""
    if isinstance(value, dict):
        return {key: fill(entry, contexts, functions) for key, entry in value.items()}
    if isinstance(value, list):
        return [fill(entry, contexts, functions) for entry in value]
    if not isinstance(value, str) or "${{" not in value:
        return value
    alone = whole(value)
    if alone is not None:
        return evaluate(parse(alone), contexts, functions)
    return EXPRESSION.sub(
        lambda found: values.text(evaluate(parse(found[1].strip()), contexts, functions)),
        value,
    )
