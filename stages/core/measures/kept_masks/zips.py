"""Zip files: the same content gives the same bytes, and a zip is read with the care that a stranger's file needs."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...base.errors import BundleError
from ...base.files import whole_file

#: Exceptions of zipfile for a file that is not a zip, or is a damaged or encrypted one.
UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error)
#: Most members of a zip; nothing that is released has more.
MOST_MEMBERS = 100_000


def pack(path: Path, files: Mapping[str, Path]) -> None:
    """Write a zip of ``files`` (name in the zip -> file), without compression, sorted and without dates."""
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(files.items()):
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target, source.open("rb") as stream:
                shutil.copyfileobj(stream, target)


def check_members(members: Sequence[zipfile.ZipInfo], what: str, *, most_bytes: int, stored: bool) -> None:
    """Check the table of contents of a zip, before any member is read.

    Parameters
    ----------
    members : entries of the table of contents
    what : name of the file, for messages
    most_bytes : limit for the sum of all members, unpacked; zipfile stops reading at the size that a member claims
    stored : whether compressed members are refused too, because a small one could unpack to a huge file

    Raises
    ------
    BundleError
        A name is there twice or leads out of the zip, a member is a link, a folder or encrypted, or a limit is
        exceeded.
    """
    if len(members) > MOST_MEMBERS or len({member.filename for member in members}) != len(members):
        raise BundleError(f"{what} has {len(members)} members; expected at most {MOST_MEMBERS}, each name once.")
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or "\\" in name or ":" in name or "\0" in name:
            raise BundleError(f"{what} has a member {name!r}, whose name leads out of the zip.")
        if member.is_dir() or stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BundleError(f"{what} has a member {name!r} that is a link or folder, not a file.")
        allowed = {zipfile.ZIP_STORED} if stored else {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if member.flag_bits & 0x1 or member.compress_type not in allowed:
            raise BundleError(f"{what} has a packed or encrypted member {name!r}; expected stored ones.")
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise BundleError(f"{what} holds {total} bytes; at most {most_bytes} are read.")


def unpack(path: Path, folder: Path, *, most_bytes: int) -> list[str]:
    """Write the members of a zip into an empty ``folder`` and return their names.

    Raises
    ------
    BundleError
        The file is not a readable zip, or as :func:`check_members`. Members that were written before a damaged one stay
        in ``folder``: the caller must give one that nothing else reads (``whole_folder``).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist(), path.name, most_bytes=most_bytes, stored=False)
            for member in archive.infolist():
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as stream, target.open("xb") as out:
                    shutil.copyfileobj(stream, out)
            return sorted(archive.namelist())
    except UNREADABLE as error:
        raise BundleError(f"{path.name} cannot be read as a zip: {error or type(error).__name__}.") from error
