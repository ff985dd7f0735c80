"""A report as Markdown, as GitHub shows it: no text from data can break a table, bring in HTML or become a link."""

from __future__ import annotations

import re

from .document import Block, Bullets, Document, Heading, Line, Paragraph, Span, Table, clean

#: What Markdown, its tables, or formulas in it read as more than itself: by a backslash (an underscore inside a word is
#: one), or as an entity, since an address becomes a link by itself.
SPECIAL = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))|([&<>]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
#: What begins a heading, list, rule, quotation or formula where it stands first.
FIRST = re.compile(r"^([#+\-=])|^(\d+)(?=[.)](?:\s|$))")
#: The only addresses that a link may lead to.
ADDRESS = re.compile(r"https://[\w./~%-]+")


def markdown(document: Document) -> str:
    """Write a report as Markdown; ends in a line break."""
    parts = [f"# {escape(document.headline)}", _line(document.lead), *map(_block, document.opening)]
    for section in document.sections:
        parts.append(f"## {escape(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return a text on one line that Markdown shows as it is.

    >>> escape("<script>|`x`")
    '&lt;script&gt;\\\\|\\\\`x\\\\`'
    """
    out = SPECIAL.sub(_escaped, clean(text))
    return FIRST.sub(lambda found: "\\" + found[1] if found[1] else found[2] + "\\", out)


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    return "\\" + sign if found[1] else ENTITIES.get(sign, f"&#{ord(sign)};")


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"### {escape(block.text)}"
    if isinstance(block, Paragraph):
        return _line(block.line)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_line(item)}" for item in block.items)
    return _table(block)


def _table(block: Table) -> str:
    rule = [":---" if place == 0 or place in block.words else "---:" for place in range(len(block.head))]
    rows = [[escape(name) for name in block.head], rule, *([_line(cell) for cell in row] for row in block.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _line(line: Line) -> str:
    return "".join(map(_span, line)).strip()


def _span(span: Span) -> str:
    # Space at an edge would keep ** from being read as bold, and is lost in clean().
    before = " " if span.text[:1].isspace() else ""
    after = " " if span.text[-1:].isspace() else ""
    text = escape(span.text)
    if not text:
        return before
    if span.href and ADDRESS.fullmatch(span.href):
        text = f"[{text}]({span.href})"
    if span.strong:
        text = f"**{text}**"
    return f"{before}{text}{after}"
