"""GitHub's expressions: text to a tree, and a tree with contexts to a value.

The grammar is that of https://docs.github.com/actions/reference/workflows-and-actions/expressions. An unknown function
or a name that is no context is a :class:`WorkflowError`; an unknown key of an object is null, as on GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from actions import values
from actions.errors import WorkflowError

TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>0x[0-9a-fA-F]+|0o[0-7]+|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!().,\[\]*]))"
)
LITERALS = {"true": True, "false": False, "null": None, "NaN": float("nan"), "Infinity": float("inf")}
LEVELS = [["||"], ["&&"], ["==", "!="], ["<", "<=", ">", ">="]]
STATUS = {"always", "success", "failure", "cancelled"}
FUNCTIONS = STATUS | {"contains", "startswith", "endswith", "format", "join", "tojson", "fromjson", "hashfiles"}


@dataclass(frozen=True)
class Node:
    """A part of an expression: ``literal``, ``context``, ``index``, ``star``, ``call``, ``!`` or an operator."""

    kind: str
    value: Any = None
    parts: tuple[Node, ...] = ()


class Filtered(list[Any]):
    """What ``.*`` gives: an array over whose members the next property goes."""


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = list(_tokens(source))
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, *signs: str) -> str | None:
        kind, word = self.peek()
        if kind == "sign" and word in signs:
            self.at += 1
            return word
        return None

    def need(self, sign: str) -> None:
        if self.take(sign) is None:
            raise WorkflowError(f"expression {self.source!r}: expected {sign!r}, not {self.peek()[1] or 'the end'!r}")

    def whole(self) -> Node:
        node = self.level(0)
        if self.peek()[0] != "end":
            raise WorkflowError(f"expression {self.source!r}: {self.peek()[1]!r} is not expected here")
        return node

    def level(self, depth: int) -> Node:
        if depth == len(LEVELS):
            return self.unary()
        node = self.level(depth + 1)
        while (sign := self.take(*LEVELS[depth])) is not None:
            node = Node(sign, None, (node, self.level(depth + 1)))
        return node

    def unary(self) -> Node:
        if self.take("!"):
            return Node("!", None, (self.unary(),))
        return self.postfix(self.primary())

    def primary(self) -> Node:
        kind, word = self.peek()
        self.at += 1
        if kind == "string":
            return Node("literal", word[1:-1].replace("''", "'"))
        if kind == "number":
            return Node("literal", values.number(word))
        if kind == "name":
            if word in LITERALS:
                return Node("literal", LITERALS[word])
            return self.call(word) if self.peek() == ("sign", "(") else Node("context", word.lower())
        if word == "(":
            node = self.level(0)
            self.need(")")
            return node
        raise WorkflowError(f"expression {self.source!r}: a value is missing before {word or 'the end'!r}")

    def call(self, name: str) -> Node:
        if name.lower() not in FUNCTIONS:
            raise WorkflowError(f"expression {self.source!r}: there is no function {name!r}")
        self.need("(")
        arguments: list[Node] = []
        while not self.take(")"):
            if arguments:
                self.need(",")
            arguments.append(self.level(0))
        return Node("call", name.lower(), tuple(arguments))

    def postfix(self, node: Node) -> Node:
        while (sign := self.take(".", "[")) is not None:
            if self.take("*"):
                node = Node("star", None, (node,))
            elif sign == ".":
                kind, word = self.peek()
                if kind != "name":
                    raise WorkflowError(f"expression {self.source!r}: a name is missing after '.'")
                self.at += 1
                node = Node("index", None, (node, Node("literal", word)))
            else:
                node = Node("index", None, (node, self.level(0)))
            if sign == "[":
                self.need("]")
        return node


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    at = 0
    while source[at:].strip():
        found = TOKEN.match(source, at)
        if found is None:
            raise WorkflowError(f"expression {source!r}: cannot be read from {source[at:].strip()!r} on")
        yield str(found.lastgroup), found[str(found.lastgroup)]
        at = found.end()


@cache
def parse(source: str) -> Node:
    """Return the tree of the text between ``${{`` and ``}}``.

    Raises:
        WorkflowError: the text is no expression, or calls a function that does not exist.
    """
    return _Parser(source).whole()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for part in node.parts:
        yield from walk(part)


def has_status(node: Node) -> bool:
    """Return whether a condition asks for the status itself, so that no ``success()`` is implied."""
    return any(part.kind == "call" and part.value in STATUS for part in walk(node))


def evaluate(node: Node, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return the value of an expression; ``functions`` holds what depends on the run (status, ``hashfiles``)."""
    if node.kind == "literal":
        return node.value
    if node.kind == "context":
        if node.value not in contexts:
            raise WorkflowError(f"{node.value!r} is no context here; there are {', '.join(sorted(contexts))}")
        return contexts[node.value]
    if node.kind in ("&&", "||"):
        left = evaluate(node.parts[0], contexts, functions)
        return left if truth_decides(node.kind, left) else evaluate(node.parts[1], contexts, functions)
    parts = [evaluate(part, contexts, functions) for part in node.parts]
    if node.kind == "call":
        return functions[node.value](*parts)
    if node.kind == "star":
        members = parts[0].values() if isinstance(parts[0], dict) else parts[0] if isinstance(parts[0], list) else []
        return Filtered(members)
    if node.kind == "index":
        return index(parts[0], parts[1])
    if node.kind == "!":
        return not values.truthy(parts[0])
    left, right = parts
    return {
        "==": lambda: values.same(left, right),
        "!=": lambda: not values.same(left, right),
        "<": lambda: values.less(left, right),
        ">": lambda: values.less(right, left),
        "<=": lambda: values.less(left, right) or values.same(left, right),
        ">=": lambda: values.less(right, left) or values.same(left, right),
    }[node.kind]()


def truth_decides(sign: str, left: Any) -> bool:
    """Return whether the left side is the value of ``&&`` or ``||`` already."""
    return values.truthy(left) is (sign == "||")


def index(value: Any, key: Any) -> Any:
    """Return a property or member, null where there is none; over what ``.*`` gave, that of each member."""
    if isinstance(value, Filtered):
        return Filtered(found for member in value if (found := index(member, key)) is not None)
    if isinstance(value, dict):
        name = values.text(key)
        return next((entry for known, entry in value.items() if str(known).lower() == name.lower()), None)
    if isinstance(value, list):
        place = values.number(key)
        return value[int(place)] if place >= 0 and place < len(value) else None
    return None
