"""What the documentation names is there: files, headings, commands, targets, params. And every command is named."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {*cli.STAGES, *cli.COMMANDS}
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
#: Within backticks, over a line's end but not over an empty line.
SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)*)`(?!`)")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|\b(?:src|href|srcset)=\"([^\"]+)\"")
#: Endings of files that are named like a block of params: `report.html` is no key.
ENDINGS = {"csv", "css", "html", "json", "log", "md", "png", "py", "svg", "yaml", "yml", "zip"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(text: str) -> str:
    """Return a page without its code blocks and spans: what is in them is no link."""
    return SPAN.sub("", FENCE.sub("", text))


def code(text: str) -> list[str]:
    """Return all code of a page: lines of its blocks, then its spans with their line ends as blanks."""
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()[1:-1]]
    return [line.split(" #")[0] for line in blocks] + [" ".join(s.split()) for s in SPAN.findall(FENCE.sub("", text))]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def named(text: str, program: str) -> list[str]:
    """Return the first word after ``program`` wherever code calls it."""
    return [word for piece in code(text) for word in re.findall(rf"(?<![\w./-]){program} ([a-z][\w-]*)", piece)]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def params() -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return value


def has_key(value: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def keys_of_params(text: str) -> list[str]:
    """Return what code names as a key of a block of params: `block.key`, or deeper."""
    blocks = "|".join(key for key, value in params().items() if isinstance(value, dict))
    found = [
        key for piece in code(text) for key in re.findall(rf"(?<![\w./-])((?:{blocks})(?:\.\w+)+)(?![\w/(])", piece)
    ]
    return [key for key in found if key.rsplit(".", 1)[1] not in ENDINGS]


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in [one or other for one, other in LINK.findall(prose(page.read_text(encoding="utf-8")))]:
        if re.match(r"[a-z]+:", link):
            continue  # an address elsewhere: no test asks the network
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page.name}: {link} has no such heading"


@every_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(named(text, "cordrift")) <= COMMANDS
    assert set(named(text, "make")) <= targets()


@every_page
def test_every_key_of_params_that_is_named_exists(page: Path) -> None:
    unknown = [key for key in keys_of_params(page.read_text(encoding="utf-8")) if not has_key(params(), key)]
    assert not unknown


def test_every_command_and_stage_is_named_somewhere() -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"]
    called = {word for text in pages for word in named(text, "cordrift")}
    assert set(cli.COMMANDS) <= called
    assert all(any(f"`{stage}`" in text for text in pages) for stage in cli.STAGES)


def test_the_readers_of_this_test_find_what_they_look_for() -> None:
    text = (
        "# One `x` & two\n## A\n## A\n[l](docs/a.md#a-1) `cordrift\nfetch --x` and make it\n```\nmake demo # make\n```"
    )
    assert anchors(text) == {"one-x--two", "a", "a-1"}
    assert LINK.findall(prose(text)) == [("docs/a.md#a-1", "")]
    assert (named(text, "cordrift"), named(text, "make")) == (["fetch"], ["demo"])
    assert keys_of_params("`report.html` `train.seeds` `reports/measure/compare.csv` `train.plan.batch_size`") == [
        "train.seeds",
        "train.plan.batch_size",
    ]
    assert has_key(params(), "train.plan.batch_size")
    assert not has_key(params(), "train.seeds")
    assert "demo-micro" in targets()
    assert all("cordrift" in page.read_text(encoding="utf-8") for page in PAGES)
