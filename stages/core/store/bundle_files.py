"""Which bundle lies in the workspace, and what names its series."""

from __future__ import annotations

from pathlib import Path

from ..base.files import read_json

#: Output of `package`: the bundle, with its copy in the toolbox's layout.
PACKAGE = Path("data/package")
#: Files of `measure` that are kept with a version, and that `history` fetches.
MEASURES_FILES = ("measures.csv", "agreement.csv", "summary.json")
#: The predicted masks that are kept with a version, to be measured again when the ruler changes.
MASKS = "masks.zip"
#: What a series is, besides its bundle.
SERIES = ("inference", "ruler", "frozen")


def bundle_digest(package: Path = PACKAGE) -> str:
    """Return the digest of the packaged bundle."""
    return str(read_json(package / "model.json")["digest"])


def version_identity(digest: str) -> dict[str, str]:
    """Tags by which the run of a version is found again."""
    return {"kind": "version", "digest": digest}
