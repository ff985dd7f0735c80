"""The change report, written as Markdown and as one self-contained page."""

from __future__ import annotations

from pathlib import Path

from stages.core.change.changes import changes
from stages.core.change.document import Document, clean, line
from stages.core.change.facts import Facts
from stages.core.change.impact import impact, verdict
from stages.core.change.tested import tested
from stages.core.change.text import ADDRESS, markdown
from stages.core.files import whole_file
from stages.core.pages import style, templates
from stages.core.wording import extremes, headline

MARKDOWN, HTML = "CHANGE_REPORT.md", "change_report.html"


def document(facts: Facts) -> Document:
    """What the report says: what moved, then the three parts."""
    drift = dict(facts.drift)
    first, second = headline(drift, facts.shown)
    lead = " ".join(filter(None, [second, extremes(drift)]))
    parts = (changes(facts), tested(facts), impact(facts))
    return Document(f"Change report, {facts.new_name}", first, line(lead), tuple(verdict(facts)), parts)


def html(report: Document) -> str:
    """Write a report as one page; every text that comes from data is escaped."""
    environment = templates()
    environment.filters["clean"] = clean
    environment.tests["address"] = lambda text: ADDRESS.fullmatch(text) is not None
    return environment.get_template("change.html").render(report=report, css=style())


def write_change_report(folder: Path, facts: Facts) -> None:
    """Write ``CHANGE_REPORT.md`` and ``change_report.html`` into a folder."""
    report = document(facts)
    for name, text in ((MARKDOWN, markdown(report)), (HTML, html(report))):
        with whole_file(folder / name) as part:
            part.write_text(text, encoding="utf-8")
