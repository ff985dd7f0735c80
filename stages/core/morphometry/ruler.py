"""The identity of the ruler: two numbers are compared only when the same ruler measured both."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from stages.core.files import digest_of
from stages.core.params import Measure
from stages.core.syntax import syntax_of

#: The modules whose code decides a number.
MODULES = (
    "morphometry/centreline.py",
    "morphometry/csa.py",
    "morphometry/labels.py",
    "morphometry/levels.py",
    "morphometry/mask.py",
    "morphometry/oddities.py",
    "morphometry/solidity.py",
    "morphometry/table.py",
    "volumes.py",
)
LIBRARIES = ("numpy", "scipy", "nibabel", "scikit-image")


def ruler_id(params: Measure) -> str:
    """Return 64 hexadecimal digits that change with the measuring code, its parameters or its libraries.

    Comments, docstrings and layout of the code do not count.
    """
    code = syntax_of(Path(__file__).parents[1], MODULES)
    libraries = {name: version(name) for name in LIBRARIES}
    return digest_of({"code": code, "params": params.model_dump(mode="json"), "libraries": libraries})
