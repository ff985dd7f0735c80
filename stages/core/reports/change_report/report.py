"""The change report, written as Markdown and as one self-contained page.

Its three parts are those of a predetermined change control plan: Description of Modifications, Modification Protocol,
Impact Assessment. U.S. Food and Drug Administration, "Marketing Submission Recommendations for a Predetermined Change
Control Plan for Artificial Intelligence-Enabled Device Software Functions", docket FDA-2022-D-2628, final guidance of
4 December 2024, issued again on 18 August 2025. Such a plan says beforehand what may change and how it is tested. This
report describes one change in the same order; it is not a submission and claims no conformity.
"""

from __future__ import annotations

from pathlib import Path

from ...base.files import whole_file
from ..drift_report.wording import extremes, headline
from .changes import changes
from .evidence import tested
from .facts import Facts
from .impact import impact, verdict
from .markdown import heading, paragraph
from .page import page

MARKDOWN, HTML = "CHANGE_REPORT.md", "change_report.html"


def change_report(facts: Facts) -> str:
    """Return the report as Markdown: what moved and the verdict first, then the three parts."""
    drift = facts.drift
    first, second = headline(drift, facts.shown)
    opening = [heading(1, first), paragraph(second, extremes(drift)), *verdict(facts)]
    return "\n\n".join([*opening, *changes(facts), *tested(facts), *impact(facts)]) + "\n"


def write_change_report(folder: Path, facts: Facts) -> None:
    """Write ``CHANGE_REPORT.md`` and ``change_report.html`` into a folder."""
    text = change_report(facts)
    for name, content in ((MARKDOWN, text), (HTML, page(f"Change report, {facts.new_name}", text))):
        with whole_file(folder / name) as part:
            part.write_text(content, encoding="utf-8")
