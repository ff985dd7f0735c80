"""A page on which a person looks at masks: a section for each image, with the outline drawn on it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.files import whole_file
from ...pages.templates import style, templates


@dataclass(frozen=True)
class Card:
    """One image on the page.

    Attributes
    ----------
    name : of the image
    says : what was measured, or why there is no mask
    drawn : the picture, a PNG; None without one
    bad : whether there is no mask, or one that cannot be measured
    doubts : what speaks against the mask, a sentence each
    """

    name: str
    says: str
    drawn: Path | None
    bad: bool
    doubts: Sequence[str] = ()

    @property
    def picture(self) -> str:
        """The picture as an address that holds all of it, so that the page is one file; ``""`` without one."""
        if self.drawn is None:
            return ""
        return "data:image/png;base64," + base64.b64encode(self.drawn.read_bytes()).decode("ascii")


def write_page(path: Path, model: str, cards: Sequence[Card]) -> None:
    """Write the page; the bad ones come first, then the doubtful ones. ``model``: what made the masks."""
    ordered = sorted(cards, key=lambda card: (not card.bad, not card.doubts))
    page = templates().get_template("masks.html")
    with whole_file(path) as part:
        counts = {"bad": sum(card.bad for card in cards), "doubtful": sum(bool(card.doubts) for card in cards)}
        text = page.render(css=style(), model=model, cards=ordered, **counts)
        part.write_text(text, encoding="utf-8")
