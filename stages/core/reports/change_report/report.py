"""The change report, written as Markdown and as one self-contained page.

Its three parts are those of a predetermined change control plan: Description of Modifications, Modification Protocol,
Impact Assessment. U.S. Food and Drug Administration, "Marketing Submission Recommendations for a Predetermined Change
Control Plan for Artificial Intelligence-Enabled Device Software Functions", docket FDA-2022-D-2628, final guidance of
4 December 2024, issued again on 18 August 2025. Such a plan says beforehand what may change and how it is tested; this
report tells one change in the same order. It is no submission and claims no conformity.
"""

from __future__ import annotations

from pathlib import Path

from ...base.files import whole_file
from ...pages.templates import style, templates
from ..drift_report.wording import extremes, headline
from .changes import changes
from .document import Document, clean, line
from .evidence import tested
from .facts import Facts
from .impact import impact, verdict
from .text import ADDRESS, markdown

MARKDOWN, HTML = "CHANGE_REPORT.md", "change_report.html"


def document(facts: Facts) -> Document:
    """What the report says: what moved, then the three parts."""
    drift = facts.drift
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
