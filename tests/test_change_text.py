"""Texts from data in Markdown: one line, no table, link, emphasis or HTML of their own."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.core.reports.change_report.document import Document, Section, Span, clean, line, paragraph, strong, table
from stages.core.reports.change_report.report import html
from stages.core.reports.change_report.text import escape, markdown

#: A pipe that an even number of backslashes (or none) stands before.
BARE_PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")


def report(*cells: str) -> Document:
    """A report whose every place holds data."""
    rows = [[cell, strong(cell)] for cell in cells]
    blocks = (paragraph(*cells), table(["a", *cells[:1]], rows))
    return Document(cells[0], cells[0], line(*cells), (paragraph(cells[0]),), (Section(cells[0], blocks),))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a|b", r"a\|b"),
        (r"a\|b", r"a\\\|b"),
        ("`x` *y* [z](u)", r"\`x\` \*y\* \[z\](u)"),
        ("margin_mm2", "margin_mm2"),
        ("_x_ a_", r"\_x\_ a\_"),
        ("one\n\n# two\r\t three", "one # two three"),
        ("=1+1", r"\=1+1"),
        ("# head", r"\# head"),
        ("1. item", r"1\. item"),
        ("1.5 mm", "1.5 mm"),
        ("https://x.org www.x.org", "https&#58;//x.org www&#46;x.org"),
        ("AT&amp;T", "AT&amp;amp;T"),
        ("a\u202eb\u2028c\x00", "a b c"),
    ],
)
def test_a_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert escape(text) == shown


ODD = st.text(alphabet=st.sampled_from("ab1 .|\\`*_[]()<>&#=-+~$@!:/\n\r\t\x0b\u2028\x85\u202e\ud800"), max_size=12)


@given(st.lists(ODD, min_size=1, max_size=4))
@example(["\\|", "|\n|---|"])
def test_no_text_breaks_a_table(cells: list[str]) -> None:
    lines = markdown(report(*cells)).split("\n")
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + len(cells)
    assert {len(BARE_PIPE.findall(row)) for row in rows} == {3}
    assert not any("<" in line for line in lines)


@settings(max_examples=30, deadline=None)
@given(ODD)
def test_no_text_adds_an_element_to_the_page(text: str) -> None:
    """The same tags in the same order, whatever the data say; and it can be written."""
    found, plain = (re.findall(r"<[^<>]*>?", html(report(cell, "b"))) for cell in (text, "a"))
    assert found == plain
    html(report(text)).encode()
    markdown(report(text)).encode()


def test_a_link_leads_to_https_alone_and_cannot_be_broken_out_of() -> None:
    good = paragraph("see ", Span("here", href="https://lab.org/docs/drift.md"), ".")
    bad = [
        paragraph(Span("here", href=address))
        for address in ("javascript:alert(1)", "https://a.org) [x](http://b.org", 'https://a.org"onclick="x', "//a.org")
    ]
    one = Document("o", "h", (), (), (Section("s", (good,)),))
    assert "see [here](https://lab.org/docs/drift.md)." in markdown(one)
    assert '<a href="https://lab.org/docs/drift.md">here</a>' in html(one)
    for block in bad:
        none = Document("o", "h", (), (), (Section("s", (block,)),))
        assert "](" not in markdown(none)
        assert "<a " not in html(none)


def test_credentials_are_left_out() -> None:
    assert clean("from https://bob:secret@lab.org/x?token=1 on") == "from https://lab.org/x on"


def test_bold_is_bold_beside_other_text() -> None:
    one = Document("o", "h", line("a ", strong("b"), " c", strong(" ")), (), ())
    assert "a **b** c" in markdown(one)
    assert 'a <strong class="red">b</strong> c' in html(one)
