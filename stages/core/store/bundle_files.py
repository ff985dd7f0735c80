"""Names that the stages around MLflow share: the packaged bundle, the files that are kept, the tags of a version."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import BundleError
from ..base.files import read_json

#: Output of `package`: the bundle, and a copy of it in the layout of the toolbox.
PACKAGE = Path("data/package")
#: The largest size of an unpacked bundle: safetensors hardly shrink, so it is about that of GitHub's largest asset.
MOST_BUNDLE_BYTES = 4 << 30
#: Files of `measure` that are kept with each version. `history` fetches them.
MEASURES_FILES = ("measures.csv", "agreement.csv", "summary.json")
#: The predicted masks that are kept with each version, so that they can be measured again with another ruler.
MASKS = "masks.zip"
#: With the bundle, these digests name a series: numbers can be compared only where they agree.
SERIES = ("inference", "ruler", "frozen")
#: Prefix of the tags in which a version keeps the digests of its judges.
JUDGED = "judged_"


def bundle_digest(package: Path = PACKAGE) -> str:
    """Return the digest of the packaged bundle, 64 hexadecimal digits.

    Raises
    ------
    BundleError
        ``model.json`` is missing or cannot be read.
    """
    return str(read_json(package / "model.json", error=BundleError)["digest"])


def version_identity(digest: str) -> dict[str, str]:
    """Return the tags by which the run of a version is found in MLflow."""
    return {"kind": "version", "digest": digest}
