"""Texts from data in Markdown and on the page: one line, no table, link, emphasis or HTML of their own."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from stages.core.reports.change_report.markdown import (
    Markdown,
    bold,
    bullets,
    clean,
    escape,
    heading,
    link,
    paragraph,
    table,
)
from stages.core.reports.change_report.page import page

#: A pipe that an even number of backslashes (or none) stands before.
BARE_PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")


def report(*texts: str) -> str:
    """A report in which every place holds data."""
    first = texts[0]
    rows = [[text, bold(text)] for text in texts]
    blocks = [heading(2, first), paragraph(*texts), table(["a", first], rows), bullets(texts), paragraph(bold(first))]
    return "\n\n".join([heading(1, first), paragraph(first), *blocks]) + "\n"


def body(text: str) -> str:
    """What the page shows of a report, without its style."""
    return page("title", text).split('<p class="over">')[1]


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
        ("a # b ##", r"a # b \##"),
        ("a#b C#", "a#b C#"),
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
    lines = report(*cells).split("\n")
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + len(cells)
    assert {len(BARE_PIPE.findall(row)) for row in rows} == {3}
    assert not any("<" in line for line in lines)


@settings(max_examples=200)
@given(ODD)
@example("![x](https://evil.org/x.png)")
@example("<https://evil.org> [x]: https://evil.org")
@example("<script>alert(1)</script>|`x`")
@example("a ##")
def test_the_page_shows_every_text_as_it_is_and_adds_no_element(text: str) -> None:
    """The same tags in the same order, whatever the data say, and the text in each place."""
    assume(clean(text))
    tags, plain = (re.findall(r"<[^<>]*>?", body(report(one, "b"))) for one in (text, "a"))
    assert tags == plain
    shown = clean(text)
    texts = [html.unescape(part) for part in re.findall(r">([^<>\n]+)<", body(report(text)))]
    assert texts.count(shown) >= 9, "headings, paragraphs, head and cells of the table, list, bold text"


@given(ODD)
def test_a_report_can_be_written(text: str) -> None:
    found = report(text)
    (found + page(text, found)).encode()


def test_a_link_leads_to_https_alone_and_cannot_be_broken_out_of() -> None:
    good = Markdown(f"see {link('here', 'https://lab.org/docs/drift.md')}.")
    assert good == "see [here](https://lab.org/docs/drift.md)."
    assert 'see <a href="https://lab.org/docs/drift.md">here</a>.' in page("", good)
    for address in (
        *("javascript:alert(1)", "https://a.org) [x](http://b.org", 'https://a.org"onclick="x', "//a.org"),
        *("docs/drift.md", "http://a.org", "data:text/html,x", ""),
    ):
        assert link("here", address) == "here"
    assert link("a](https://evil.org)", "https://lab.org") == r"[a\](https&#58;//evil.org)](https://lab.org)"


@pytest.mark.parametrize(
    "text",
    [
        *("<b>x</b>", "![x](https://a.org/x.png)", "<https://a.org>", "https://a.org", "[x]: https://a.org\n\n[x]"),
        *("```\nx\n```", "    x", "`x`", "> x", "---", "a  \nb", "~~x~~", "[x](javascript:alert(1))"),
    ],
)
def test_markdown_that_no_report_uses_gives_no_element(text: str) -> None:
    """Even a text that nobody escaped: the page knows headings, lists, tables, emphasis and links."""
    shown = page("", f"# a\n\n{text}\n").split("</h1>")[1].split("</header>")[0]
    assert set(re.findall(r"<(\w+)", shown)) <= {"p", "a"}
    assert not re.search(r"(?i)<a href=.(?!https://)", shown)


def test_credentials_are_left_out() -> None:
    assert clean("from https://bob:secret@lab.org/x?token=1 on") == "from https://lab.org/x on"
    assert escape("https://bob:secret@lab.org/x?token=1") == "https&#58;//lab.org/x"


def test_bold_is_bold_beside_other_text() -> None:
    one = paragraph("a ", bold("b"), " c", bold(" "), "")
    assert one == "a **b** c"
    assert 'a <strong class="red">b</strong> c' in page("", one)


def test_the_verdict_has_a_colour_of_its_own() -> None:
    shown = page("", paragraph(bold("drift: drifted"), bold("quality: same"), bold("drift: a b")))
    assert '<strong class="mark drifted">drift: drifted</strong> <strong class="mark same">quality: same</st' in shown
    assert '<strong class="red">drift: a b</strong>' in shown


def test_a_table_reads_as_one() -> None:
    shown = page("", table(["", "n"], [["<a>", "1"], ["b", bold("2")]]))
    assert '<th scope="row">&lt;a&gt;</th>\n<td>1</td>' in shown
    assert '<th scope="row">b</th>\n<td><strong class="red">2</strong></td>' in shown
    assert shown.count('<div class="wide"><table>') == shown.count("</table></div>") == 1
    assert '<td class="text">c</td>' in page("", table(["", ""], [["b", "c"]], words=(1,)))
