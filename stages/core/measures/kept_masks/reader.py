"""Reading ``masks.zip`` as a file that anybody may have made: bounded, in memory, and nothing of it is unpacked."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import CordriftError
from ...base.files import SCHEMA, digest_of
from ...base.params import validate
from .layout import INDEX, Kept
from .zips import UNREADABLE, check_members

#: Limits far above any frozen set: a mask is about 20 KB, a set some hundred of them.
MOST_BYTES = 1 << 30
MOST_INDEX_BYTES = 64 << 20


@dataclass(frozen=True)
class KeptZip:
    """A zip of kept masks: its index, and the bytes of each mask's file by name."""

    index: Kept
    files: Mapping[str, bytes]


def read_kept(path: Path, digest: str) -> KeptZip | None:
    """Read a zip of kept masks; None when it has no ``kept.json``: it is of before masks were kept to be restored.

    Parameters
    ----------
    digest : what was registered, over the members (see ``Artifact.digest``)

    Raises
    ------
    CordriftError
        No readable zip; a member that leads out of the zip, is a link, packed, encrypted or there twice; over a limit;
        not what was registered; an index that is none, or that names other files than the zip holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if INDEX not in archive.namelist():
                return None
            # cordrift stores its members, which are gzip already.
            check_members(archive.infolist(), "masks.zip", most_bytes=MOST_BYTES, stored=True)
            size = archive.getinfo(INDEX).file_size
            if size > MOST_INDEX_BYTES:
                raise CordriftError(f"{INDEX} in masks.zip has {size} bytes; at most {MOST_INDEX_BYTES} are read.")
            files = {member.filename: archive.read(member) for member in archive.infolist()}
    except UNREADABLE as error:
        raise CordriftError(f"masks.zip cannot be read as a zip: {error or type(error).__name__}.") from error
    if digest_of({name: hashlib.sha256(content).hexdigest() for name, content in files.items()}) != digest:
        raise CordriftError("masks.zip is not the file that was registered: its members have other hashes.")
    index = _index(files.pop(INDEX))
    named = [mask.file for case in index.cases for mask in case.masks.values()]
    cases = [(case.dataset, case.participant, case.session, case.contrast) for case in index.cases]
    if sorted(named) != sorted(files) or len(set(cases)) != len(cases):
        raise CordriftError(
            f"masks.zip holds {len(files)} masks, its {INDEX} names {len(set(named))} of {len(set(cases))} cases; "
            "expected the same files, each of them and each case once."
        )
    return KeptZip(index, files)


def _index(content: bytes) -> Kept:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CordriftError(f"{INDEX} in masks.zip is not valid JSON: {error}.") from error
    schema = value.pop("schema", None) if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise CordriftError(f"{INDEX} in masks.zip has the schema {schema!r}; this cordrift reads {SCHEMA}.")
    kept: Kept = validate(Kept, value, f"{INDEX} in masks.zip")
    return kept
