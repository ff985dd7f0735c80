"""Markdown that GitHub and the page show alike: no text from data can break a table, add HTML or become a link."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from ...base.errors import redact

NOT_RECORDED = "not recorded"
#: Characters that Markdown, its tables, or formulas in it give a meaning: the first group is escaped by a backslash (an
#: underscore inside a word has no meaning), the second by an entity, because addresses become links by themselves.
SPECIAL = re.compile(
    r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|(?<!\S)#(?=#*$))|([&<>]|:(?=//)|(?<=www)\.)", re.IGNORECASE
)
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
#: What begins a heading, list, rule, quotation or formula at the beginning of a line.
FIRST_CHARACTER = re.compile(r"^([#+\-=])|^(\d+)(?=[.)](?:\s|$))")
#: The only addresses that a link may lead to.
ADDRESS = re.compile(r"https://[\w./~%-]+")
#: Control, format, surrogate, private, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class Markdown(str):
    """Text that is Markdown already: the functions of this module take it as it is, and escape every other text."""

    __slots__ = ()


def clean(text: str) -> str:
    """Return a text on one line, without credentials, control characters and marks that turn the writing direction."""
    shown = "".join(" " if unicodedata.category(sign) in _HIDDEN else sign for sign in text)
    return " ".join(redact(shown).split())


def escape(text: str) -> Markdown:
    """Return a text on one line that Markdown shows as it is.

    >>> escape("<script>|`x`")
    '&lt;script&gt;\\\\|\\\\`x\\\\`'
    """
    if isinstance(text, Markdown):
        return text
    out = SPECIAL.sub(_escaped, clean(text))
    return Markdown(FIRST_CHARACTER.sub(lambda found: "\\" + found[1] if found[1] else found[2] + "\\", out))


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    return "\\" + sign if found[1] else ENTITIES.get(sign, f"&#{ord(sign)};")


def bold(text: str) -> Markdown:
    """Return bold text; nothing where there is no text to show."""
    inner = escape(text)
    return Markdown(f"**{inner}**" if inner else "")


def link(text: str, address: str) -> Markdown:
    """Return a link to an https address; to any other address the text alone."""
    inner = escape(text)
    return Markdown(f"[{inner}]({address})" if ADDRESS.fullmatch(address) else inner)


def paragraph(*parts: str) -> Markdown:
    """Return the parts as one paragraph, with a space between them."""
    return Markdown(" ".join(filter(None, map(escape, parts))))


def heading(level: int, text: str) -> Markdown:
    """Return a heading of level 1 to 6."""
    return Markdown(f"{'#' * level} {escape(text)}")


def bullets(items: Iterable[str]) -> Markdown:
    """Return a list."""
    return Markdown("\n".join(f"- {escape(item)}" for item in items))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: Iterable[int] = ()) -> Markdown:
    """Return a table. The first column and those whose places are in ``words`` hold text, the others numbers."""
    left = {0, *words}
    lines: list[list[str]] = [[escape(cell) for cell in row] for row in (head, *rows)]
    lines.insert(1, [":---" if place in left else "---:" for place in range(len(head))])
    return Markdown("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def words_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table that holds text alone."""
    return table(head, rows, range(len(head)))
