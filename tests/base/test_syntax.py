"""The syntax of code as its name: blind to layout, place and Python version, and to nothing else."""

from __future__ import annotations

import hashlib

import pytest

from stages.core.base.syntax import syntax

SOURCE = '''"""What the module is for."""
from __future__ import annotations

import os
from math import pi as circle

import numpy as np
from stages.core.base.files import digest_of


class A:
    """A class."""

    size: int = 1

    async def f(self, x, *rest, key=None, **more):
        """Say what."""
        from .mask import find_cord

        return [f"{x!r:>{self.size}}{key:}" for x in rest if x is not None], {**more}, lambda: (yield)
'''


def test_the_syntax_is_the_same_text_on_every_python() -> None:
    """Golden: the same on Python 3.11, 3.12 and 3.13, whose ``ast.dump`` differ for this source."""
    digest = hashlib.sha256(syntax(SOURCE).encode()).hexdigest()
    assert digest == "4964eab6e8ef2b0e2b3694b6cacf523b129dc95c6f62e29d8dc9bcff060854e8"


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("a comment", "size: int = 1", "size: int = 1  # of what"),
        ("a docstring", '"""A class."""', '"""Another class."""'),
        ("white space", "*rest, key=None", "*rest,\n        key=None"),
        ("a module of this package that moved", "stages.core.base.files", "stages.core.images.digests"),
        ("a module of this package that moved, inside a function", "from .mask", "from ...images.mask"),
        (
            "the order of imports",
            "import os\nfrom math import pi as circle",
            "from math import pi as circle\nimport os",
        ),
    ],
)
def test_layout_and_place_do_not_count(what: str, old: str, new: str) -> None:
    assert old in SOURCE, what
    assert old != new, what
    assert syntax(SOURCE.replace(old, new)) == syntax(SOURCE), what


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("a number", "size: int = 1", "size: int = 2"),
        ("an operator", "is not None", "is None"),
        ("a default", "key=None", "key=0"),
        ("a text that is no docstring", "!r:>", "!s:>"),
        ("another library", "from math import pi", "from cmath import pi"),
        ("another name from a library", "pi as circle", "tau as circle"),
    ],
)
def test_everything_else_counts(what: str, old: str, new: str) -> None:
    assert old in SOURCE, what
    assert old != new, what
    assert syntax(SOURCE.replace(old, new)) != syntax(SOURCE), what


def test_imports_within_the_package_count_where_they_are_asked_for() -> None:
    moved = SOURCE.replace("from .mask", "from ...images.mask")
    assert syntax(moved, imports_in_place=True) != syntax(SOURCE, imports_in_place=True)
    one = "def f():\n    from .a import g\ndef h():\n    from .b import g\n"
    swapped = "def f():\n    from .b import g\ndef h():\n    from .a import g\n"
    assert syntax(one, imports_in_place=True) != syntax(swapped, imports_in_place=True)
