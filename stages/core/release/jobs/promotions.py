"""A person accepts a released version where there is no MLflow: the decision is an asset of the release."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...base.errors import CordriftError
from ...base.files import write_json
from ..github.repository import MOST_ASSET_BYTES, Repository
from .archive import read_record
from .history import Promotion
from .names import PROMOTION, RECORD_ZIP


def accept(repository: Repository, tag: str, *, who: str, why: str, when: str) -> Promotion:
    """Put the acceptance of a release beside it; the releases after it are judged against it.

    Raises
    ------
    CordriftError
        No reason, no such release, or one that was not judged yet.
    """
    if not why.strip():
        raise CordriftError("a promotion needs a reason: what was looked at, and why the drift is accepted.")
    release = repository.release(tag)
    with tempfile.TemporaryDirectory() as scratch:
        packed, folder = Path(scratch) / RECORD_ZIP, Path(scratch) / "record"
        repository.download(release, RECORD_ZIP, packed, MOST_ASSET_BYTES)
        folder.mkdir()
        promotion = Promotion(digest=read_record(packed, folder).digest, who=who, when=when, why=why)
        path = Path(scratch) / PROMOTION
        write_json(path, promotion.model_dump())
        repository.upload(release, path, PROMOTION)
    return promotion
