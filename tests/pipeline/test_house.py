"""The picture of the house shows the imports as they are."""

from __future__ import annotations

from support.house import MEANING, PICTURE, ROWS, WINGS, draw


def test_the_picture_is_drawn_from_the_imports_of_today() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "run `python tests/support/house.py`"


def test_every_wing_stands_in_the_picture_once() -> None:
    assert sorted(wing for row in ROWS for wing in row if wing) == sorted(WINGS) == sorted(MEANING)
