"""The HTML templates beside this module, and the style sheet that all pages share."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

PAGE = Path(__file__).parent


def templates() -> jinja2.Environment:
    """Return the templates. All text from data is escaped, and a value that a template lacks is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style() -> Markup:
    """Return the style sheet as text that a template inserts unchanged."""
    return Markup(PAGE.joinpath("report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
