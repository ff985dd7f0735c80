"""A report as data: what it says, apart from how Markdown and HTML write it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...base.errors import redact

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Span:
    """A piece of a line. ``mark`` is a verdict's word, ``href`` an https address; both empty in ordinary text."""

    text: str
    strong: bool = False
    mark: str = ""
    href: str = ""


Line = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    """A line of texts and spans."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def strong(text: str) -> Span:
    """Bold text."""
    return Span(text, strong=True)


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``note``: set small, a remark on what stands above it."""

    line: Line
    note: bool = False
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Line, ...]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Table:
    """A table; the first column and those in ``words`` hold text, the others numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    words: frozenset[int] = frozenset()
    kind: ClassVar[str] = "table"


Block = Heading | Paragraph | Bullets | Table


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """The whole report: what moved (``headline``, ``lead``) and the verdict (``opening``) first, then the parts."""

    over: str
    headline: str
    lead: Line
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]


def paragraph(*parts: str | Span, note: bool = False) -> Paragraph:
    """A paragraph of texts and spans."""
    return Paragraph(line(*parts), note)


def table(head: Sequence[str], rows: Iterable[Sequence[str | Span]], words: Iterable[int] = ()) -> Table:
    """A table with one text or span a cell."""
    return Table(tuple(head), tuple(tuple(line(cell) for cell in row) for row in rows), frozenset(words))


def words_table(head: Sequence[str], rows: Iterable[Sequence[str | Span]]) -> Table:
    """A table that holds text alone."""
    return table(head, rows, range(len(head)))


def clean(text: str) -> str:
    """Return a text on one line, without credentials, control characters and marks that turn the writing direction."""
    shown = "".join(" " if unicodedata.category(sign) in _HIDDEN else sign for sign in text)
    return " ".join(redact(shown).split())


#: Control, format, surrogate, private, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
