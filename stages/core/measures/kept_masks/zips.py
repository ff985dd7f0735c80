"""Zip files: written the same for the same content, and read as if anybody could have made them."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...base.errors import CordriftError
from ...base.files import whole_file

#: What zipfile raises on a file that is no zip, or is a damaged or encrypted one.
UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error)
#: Nothing that is released has more members.
MOST_MEMBERS = 100_000


def pack(path: Path, files: Mapping[str, Path]) -> None:
    """Write a zip of ``files`` (name in the zip -> file): stored, sorted, without times."""
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(files.items()):
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target, source.open("rb") as stream:
                shutil.copyfileobj(stream, target)  # dated 1980


def check_members(members: Sequence[zipfile.ZipInfo], what: str, *, most_bytes: int, stored: bool) -> None:
    """Refuse a zip by its table of contents, before a byte of a member is read.

    Parameters
    ----------
    what : the file's name in sentences
    most_bytes : of all members, unpacked; reading stops at the size that a member claims
    stored : whether a packed member is refused too: what is packed could unpack to anything

    Raises
    ------
    CordriftError
        A name twice or one that leads out of the zip, a link or folder, an encrypted member, or a limit.
    """
    if len(members) > MOST_MEMBERS or len({member.filename for member in members}) != len(members):
        raise CordriftError(f"{what} has {len(members)} members; expected at most {MOST_MEMBERS}, each name once.")
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or "\\" in name or ":" in name or "\0" in name:
            raise CordriftError(f"{what} has a member {name!r}, whose name leads out of the zip.")
        if member.is_dir() or stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise CordriftError(f"{what} has a member {name!r} that is a link or folder, not a file.")
        allowed = {zipfile.ZIP_STORED} if stored else {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if member.flag_bits & 0x1 or member.compress_type not in allowed:
            raise CordriftError(f"{what} has a packed or encrypted member {name!r}; expected stored ones.")
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise CordriftError(f"{what} holds {total} bytes; at most {most_bytes} are read.")


def unpack(path: Path, folder: Path, *, most_bytes: int) -> list[str]:
    """Write the members of a zip below ``folder``, which is empty, and return their names.

    Raises
    ------
    CordriftError
        No readable zip, or as :func:`check_members`. What was written before a member turned out damaged stays: the
        caller gives a folder that nothing else reads (``whole_folder``).
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
        raise CordriftError(f"{path.name} cannot be read as a zip: {error or type(error).__name__}.") from error
