"""A report in Markdown as one self-contained page."""

from __future__ import annotations

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markupsafe import Markup

from ...pages.templates import style, templates
from .markdown import clean

#: No image, HTML, code or address of its own: what a report does not use, a text from data cannot become either.
_MARKDOWN = MarkdownIt("zero").enable(["heading", "list", "table", "emphasis", "link", "escape", "entity"])
#: Bold text that shows a verdict; other bold text is a warning.
_VERDICT = re.compile(r"(?:drift|quality): (\w+)")


def page(title: str, text: str) -> str:
    """Return a page that shows the Markdown ``text``, with its opening and each part of level 2 as one section."""
    opening, *parts = text.split("\n\n## ")
    sections = [_html(f"## {part}") for part in parts]
    template = templates().get_template("change.html")
    return template.render(title=clean(title), opening=_html(opening), sections=sections, css=style())


def _html(text: str) -> Markup:
    """Render Markdown, with the classes of report.css, and the first cell of each row as its heading."""
    tokens = _MARKDOWN.parse(text)
    column = 0
    for token in tokens:
        if token.type == "tr_open":
            column = 0
        elif token.type in {"th_open", "td_open"}:
            aligned = token.attrs.pop("style", "")
            if token.type == "td_open" and column == 0:
                token.tag, token.attrs = "th", {"scope": "row"}
            elif aligned == "text-align:left":
                token.attrs["class"] = "text"
            column += 1
        elif token.type == "td_close" and column == 1:
            token.tag = "th"
        for inner, following in pairwise(token.children or ()):
            if inner.type == "strong_open":
                found = _VERDICT.fullmatch(following.content)
                inner.attrs["class"] = f"mark {found[1]}" if found else "red"
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    # A text from data has no "<" any more, so that these are the tables themselves.
    html = html.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return Markup(html)  # noqa: S704 - every text in it was escaped by the renderer
