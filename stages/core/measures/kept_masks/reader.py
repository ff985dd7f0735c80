"""Read ``masks.zip`` with the care that a stranger's file needs: within limits, and without unpacking it to disk."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import BundleError
from ...base.files import SCHEMA, digest_of
from ...base.params import validate
from .layout import KEPT_INDEX, KeptIndex
from .zips import UNREADABLE, check_members

#: Limits far above the size of any frozen set, which has some hundred masks of about 20 KB.
MOST_BYTES = 1 << 30
MOST_INDEX_BYTES = 64 << 20


@dataclass(frozen=True)
class KeptZip:
    """Content of a zip of kept masks: the index, and the bytes of each mask's file by its name."""

    index: KeptIndex
    files: Mapping[str, bytes]


def read_kept(path: Path, digest: str) -> KeptZip | None:
    """Read a zip of kept masks.

    Returns None when the zip has no ``kept.json``: then it is of a version of cordrift that kept masks in another form.

    Parameters
    ----------
    path : the zip
    digest : digest over the members that was registered (see ``Artifact.digest``)

    Raises
    ------
    BundleError
        The file is not a readable zip; a member leads out of the zip, is a link, packed, encrypted or there twice; a
        limit is exceeded; the content is not what was registered; the index is invalid, or names other files than the
        zip holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if KEPT_INDEX not in archive.namelist():
                return None
            # cordrift does not compress the members, because they are gzip files.
            check_members(archive.infolist(), "masks.zip", most_bytes=MOST_BYTES, stored=True)
            size = archive.getinfo(KEPT_INDEX).file_size
            if size > MOST_INDEX_BYTES:
                raise BundleError(f"{KEPT_INDEX} in masks.zip has {size} bytes; at most {MOST_INDEX_BYTES} are read.")
            files = {member.filename: archive.read(member) for member in archive.infolist()}
    except UNREADABLE as error:
        raise BundleError(f"masks.zip cannot be read as a zip: {error or type(error).__name__}.") from error
    if digest_of({name: hashlib.sha256(content).hexdigest() for name, content in files.items()}) != digest:
        raise BundleError("masks.zip is not the file that was registered: its members have other hashes.")
    index = _index(files.pop(KEPT_INDEX))
    named = [mask.file for case in index.cases for mask in case.masks.values()]
    cases = [(case.dataset, case.participant, case.session, case.contrast) for case in index.cases]
    if sorted(named) != sorted(files) or len(set(cases)) != len(cases):
        raise BundleError(
            f"masks.zip holds {len(files)} masks, its {KEPT_INDEX} names {len(set(named))} of {len(set(cases))} cases; "
            "expected the same files, each of them and each case once."
        )
    return KeptZip(index, files)


def _index(content: bytes) -> KeptIndex:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{KEPT_INDEX} in masks.zip is not valid JSON: {error}.") from error
    schema = value.pop("schema", None) if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise BundleError(f"{KEPT_INDEX} in masks.zip has the schema {schema!r}; this cordrift reads {SCHEMA}.")
    index: KeptIndex = validate(KeptIndex, value, f"{KEPT_INDEX} in masks.zip", error=BundleError)
    return index
