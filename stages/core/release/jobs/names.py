"""The names of a release's files and folders, and the rules for its tag."""

from __future__ import annotations

from pathlib import Path

from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError

from ...base.errors import ReleaseError
from ...base.params import Name

#: Folder of a checkout through which the jobs of a release exchange files.
FOLDER = Path("release")
#: The unpacked bundle, the masks of each shard, and the files that go to the release.
BUNDLE, SHARDS, ASSETS = FOLDER / "bundle", FOLDER / "shards", FOLDER / "assets"
#: The files of a draft release after a retraining.
DRAFT = FOLDER / "draft"

#: Assets of the draft.
BUNDLE_ZIP = "cordrift-bundle.zip"
TOOLBOX_ZIP = "nnunet.zip"
#: Asset from which a store gets the version back, and the asset that a person's acceptance adds.
RECORD_ZIP = "cordrift-record.zip"
PROMOTION = "cordrift-promotion.json"
#: Asset that says which bundle was judged.
PROVENANCE = "provenance.json"
#: Assets that a judgement never replaces.
KEPT = {BUNDLE_ZIP, TOOLBOX_ZIP, PROMOTION}
#: The figure in the job summary.
FIGURE = "csa_std.png"


def label_of_tag(tag: str) -> str:
    """Return the label of the version that a release's tag names: the tag itself, where it is a plain name.

    Raises
    ------
    ReleaseError
        The tag contains other characters than letters, digits, ``.``, ``_`` and ``-``. They are refused because a
        label goes into reports, params and MLflow.
    """
    try:
        label: str = TypeAdapter(Name).validate_python(tag)
    except ValidationError:
        raise ReleaseError(
            f"the tag {tag!r} cannot be the label of a version; expected letters, digits, '.', '_' and '-', such as "
            "v1.2.0. Give the release another tag."
        ) from None
    return label


def version_of(tag: str) -> Version | None:
    """Return the tag as a version number that can be ordered; None where it is not one."""
    try:
        return Version(tag)
    except InvalidVersion:
        return None
