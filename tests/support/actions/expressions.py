"""The part of GitHub's expressions that our workflows use: names, texts, ``! == != && ||`` and four functions.

See https://docs.github.com/actions/reference/workflows-and-actions/expressions. Everything else, such as numbers,
``<`` or ``[ ]``, is a :class:`WorkflowError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from support.actions.results import WorkflowError

EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}", re.DOTALL)
TOKEN = re.compile(r"'[^']*'|[A-Za-z_][A-Za-z0-9_-]*|&&|\|\||==|!=|\S")
NAME = re.compile(r"[A-Za-z_]")


class Open(dict[str, Any]):
    """A context in which a name that is not there is null, and so is all below it; elsewhere it is an error."""


def fill(value: Any, contexts: Mapping[str, Any]) -> Any:
    """Return a YAML value with its expressions computed; an expression that is the whole text keeps its type."""
    if isinstance(value, dict):
        return {key: fill(entry, contexts) for key, entry in value.items()}
    if isinstance(value, list):
        return [fill(entry, contexts) for entry in value]
    if not isinstance(value, str):
        return value
    if found := EXPRESSION.fullmatch(value):
        return _Expression(found[1], contexts).whole()
    if value.count("${{") != len(EXPRESSION.findall(value)):
        raise WorkflowError(f"{value!r}: a '${{{{' is not closed by '}}}}'")
    return EXPRESSION.sub(lambda found: text(_Expression(found[1], contexts).whole()), value)


def texts(values: Mapping[str, Any] | None, contexts: Mapping[str, Any]) -> dict[str, str]:
    """Return a mapping of the workflow, such as ``env``, with its expressions computed and every value as text."""
    return {name: text(value) for name, value in fill(dict(values or {}), contexts).items()}


def holds(condition: str | None, contexts: Mapping[str, Any], *, succeeded: bool) -> bool:
    """Return whether an ``if:`` holds.

    Args:
        condition: Its text, with or without ``${{ }}`` around the whole; None where there is no ``if:``.
        contexts: What it may read.
        succeeded: Whether all that came before succeeded, which GitHub asks unless the condition calls ``always()`` or
            ``cancelled()``.
    """
    if condition is None:
        return succeeded
    if not isinstance(condition, str):
        raise WorkflowError(f"if: {condition!r} is not emulated; expected an expression")
    found = EXPRESSION.fullmatch(condition.strip())
    expression = _Expression(found[1] if found else condition, contexts, status=True)
    value = _truthy(expression.whole())
    return value and (succeeded or expression.asks_status)


def text(value: Any) -> str:
    """Return a value as the text that takes the place of ``${{ }}``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    raise WorkflowError(f"{value!r} is not a text; quote it in the workflow, or take a part of it")


class _Expression:
    """Computes an expression while it is read; unlike on GitHub, both sides of ``&&`` and ``||`` are computed."""

    def __init__(self, source: str, contexts: Mapping[str, Any], *, status: bool = False) -> None:
        self.source, self.contexts, self.status = source, contexts, status
        self.tokens = [*TOKEN.findall(source), ""]
        self.asks_status = False

    def error(self, what: str) -> WorkflowError:
        return WorkflowError(f"expression {self.source.strip()!r}: {what}")

    def take(self, sign: str) -> bool:
        found: bool = self.tokens[0] == sign
        if found:
            del self.tokens[0]
        return found

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise self.error(f"expected {sign or 'the end'!r}, not {self.tokens[0] or 'the end'!r}")

    def whole(self) -> Any:
        value = self.either()
        self.need("")
        return value

    def either(self) -> Any:
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value if _truthy(value) else other
        return value

    def both(self) -> Any:
        value = self.comparison()
        while self.take("&&"):
            other = self.comparison()
            value = other if _truthy(value) else value
        return value

    def comparison(self) -> Any:
        value = self.single()
        while self.tokens[0] in ("==", "!="):
            sign = self.tokens.pop(0)
            value = self.same(value, self.single()) is (sign == "==")
        return value

    def same(self, left: Any, right: Any) -> bool:
        """Return whether two texts are the same, whatever their case; null is the empty text."""
        if not all(value is None or isinstance(value, str) for value in (left, right)):
            raise self.error(f"comparing {left!r} with {right!r} is not emulated; compare texts")
        return (left or "").lower() == (right or "").lower()

    def single(self) -> Any:
        if self.take("!"):
            return not _truthy(self.single())
        if self.take("("):
            value = self.either()
            self.need(")")
            return value
        token = self.tokens.pop(0)
        if len(token) > 1 and token.startswith("'"):
            return token[1:-1]
        if not NAME.match(token):
            raise self.error(f"{token or 'the end'!r} is wrong here or not emulated")
        return self.call(token) if self.take("(") else self.named(token)

    def call(self, name: str) -> Any:
        arguments = []
        while not self.take(")"):
            arguments.append(self.either())
            if self.tokens[0] != ")":
                self.need(",")
        match name, arguments:
            case (("always" | "cancelled"), []) if self.status:
                self.asks_status = True
                return name == "always"
            case "contains", [list(values), str(wanted)]:
                return any(self.same(value, wanted) for value in values)
            case "fromJSON", [str(source)]:
                try:
                    return json.loads(source)
                except json.JSONDecodeError as error:
                    raise self.error(f"fromJSON of {source!r}: {error}") from error
        raise self.error(f"{name}() with {arguments!r} is wrong here or not emulated")

    def named(self, context: str) -> Any:
        """Return what ``context.name.name`` names; ``*`` stands for each member, and gives a list."""
        if context not in self.contexts:
            raise self.error(f"there is no {context!r} here; there are {', '.join(sorted(self.contexts))}")
        value = self.contexts[context]
        is_open = isinstance(value, Open)
        while self.take("."):
            name = self.tokens.pop(0)
            if name == "*" and isinstance(value, dict):
                value = list(value.values())
            elif isinstance(value, list) and all(name in member for member in value):
                value = [member[name] for member in value]
            elif isinstance(value, dict) and name in value:
                value = value[name]
                is_open = is_open or isinstance(value, Open)
            elif is_open and NAME.match(name):
                value = None
            else:
                raise self.error(f"there is no {name!r} in {context!r}; known are {list(value or [])}")
        return value


def _truthy(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", 0)
