"""The bundle that finds the cord on a coarse grid, for every model; it comes with cordrift."""

from __future__ import annotations

from pathlib import Path

from ...base.errors import BundleError
from ...base.files import read_json
from .content import Bundle, read_bundle

LOCALISER_FOLDER = Path(__file__).parents[3] / "models/localiser"


def read_localiser() -> Bundle:
    """Return the localiser, verified by its digest.

    Raises
    ------
    BundleError
        Its files were changed or lost.
    """
    return read_bundle(LOCALISER_FOLDER)


def localiser_digest() -> str:
    """Return the digest that the localiser states of itself; reading the localiser verifies it.

    Raises
    ------
    BundleError
        The file that states it is lost or broken.
    """
    return str(read_json(LOCALISER_FOLDER / "model.json", error=BundleError)["digest"])
