"""What the files of a release are called, and what a tag may be."""

from __future__ import annotations

import os
from pathlib import Path

from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError

from ...base.errors import CordriftError
from ...base.params import Name
from ..github.repository import Repository

#: Folder of a checkout in which the jobs of a release hand files to each other.
FOLDER = Path("release")
#: The bundle as it was unpacked, what segment left of each shard, and what goes to the release.
BUNDLE, SHARDS, ASSETS = FOLDER / "bundle", FOLDER / "shards", FOLDER / "assets"
#: What retrain leaves for a draft release.
DRAFT = FOLDER / "draft"

#: Assets that the draft brings.
BUNDLE_ZIP = "cordrift-bundle.zip"
TOOLBOX_ZIP = "nnunet.zip"
#: Asset that rebuilds the version in a store, and the one that a person's acceptance leaves.
RECORD_ZIP = "cordrift-record.zip"
PROMOTION = "cordrift-promotion.json"
#: Asset that says which bundle was judged.
PROVENANCE = "provenance.json"
#: What a judgement never replaces.
KEPT = {BUNDLE_ZIP, TOOLBOX_ZIP, PROMOTION}
#: The figure of the job summary.
FIGURE = "csa_std.png"


def label_of(tag: str) -> str:
    """Return the label of the version that a release's tag names: the tag itself, where it is a plain name.

    Raises
    ------
    CordriftError
        It holds anything but letters, digits, ``.``, ``_`` and ``-``: a label goes into reports, params and MLflow.
    """
    try:
        label: str = TypeAdapter(Name).validate_python(tag)
    except ValidationError:
        raise CordriftError(
            f"the tag {tag!r} cannot be the label of a version; expected letters, digits, '.', '_' and '-', such as "
            "v1.2.0. Give the release another tag."
        ) from None
    return label


def version_of(tag: str) -> Version | None:
    """Return the tag as a version that can be ordered; None where it is none."""
    try:
        return Version(tag)
    except InvalidVersion:
        return None


def page_of(repository: Repository) -> str:
    """Return the address of the repository's pages."""
    return f"{os.environ.get('GITHUB_SERVER_URL') or 'https://github.com'}/{repository.name}"
