"""The identity of the ruler. Two numbers are compared only when the same ruler measured both."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from ...base.files import digest_of
from ...base.syntax import syntax_of
from .settings import Measure

#: Modules whose code decides a measured number.
MODULES = (
    "images/volumes.py",
    "measures/morphometry/centreline.py",
    "measures/morphometry/csa.py",
    "measures/morphometry/levels.py",
    "measures/morphometry/mask.py",
    "measures/morphometry/oddities.py",
    "measures/morphometry/plausible.py",
    "measures/morphometry/solidity.py",
    "measures/morphometry/table.py",
    "tables/flags.py",
    "tables/weighted.py",
)
LIBRARIES = ("numpy", "scipy", "nibabel")


def ruler_id(params: Measure) -> str:
    """Return 64 hexadecimal digits that change with the measuring code, its parameters or its libraries.

    They do not change with comments, docstrings and layout of the code, or when a module moves.
    """
    code = syntax_of(Path(__file__).parents[2], MODULES)
    libraries = {name: version(name) for name in LIBRARIES}
    return digest_of({"code": code, "params": params.model_dump(mode="json"), "libraries": libraries})
