"""Content keys: the size and hash that git-annex (or git) records for a file, and the check of a file against them.

``git annex fsck`` looks at its own object store and reports "ok" for a truncated unlocked file. Therefore a file is
only trusted after the bytes in the working tree were hashed here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import DatasetError
from ...images.volumes import is_pointer

_KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?:-[mSC]\d+)*-s(?P<size>\d+)(?:-[mSC]\d+)*--(?P<name>.+)")
_DIGEST = re.compile(r"[0-9a-f]+")
#: git-annex backend -> hashlib algorithm. ``GIT`` is not one of git-annex: cordrift uses it for a file kept by git.
_ALGORITHMS = {
    "GIT": "sha256",
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA224": "sha224",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
}


@dataclass(frozen=True)
class ContentKey:
    """The parts of a key: hash ``algorithm`` (a name of hashlib), ``size`` in bytes, ``digest`` in hexadecimal."""

    algorithm: str
    size: int
    digest: str


def parse_key(key: str) -> ContentKey:
    """Split a key such as ``SHA256E-s1024--<hash>.nii.gz`` into its parts.

    >>> parse_key("MD5E-s5--5d41402abc4b2a76b9719d911017c592.txt")
    ContentKey(algorithm='md5', size=5, digest='5d41402abc4b2a76b9719d911017c592')

    Raises
    ------
    DatasetError
        The key has no size or no content hash (backends URL and WORM): such content cannot be verified.
    """
    match = _KEY.fullmatch(key)
    backend = key.split("-", 1)[0]
    # Backends that end in E (SHA256E, MD5E) add the extension of the file after the hash.
    algorithm = _ALGORITHMS.get(backend) or _ALGORITHMS.get(backend.removesuffix("E"))
    digest = match["name"].split(".", 1)[0] if match else ""
    if match is None or algorithm is None or not _is_digest(digest, algorithm):
        raise DatasetError(
            f"annex key {key!r} names no size and content hash that can be checked; expected a key such as "
            "SHA256E-s<size>--<hash>. Convert it in the dataset with `git annex migrate --backend=SHA256E`."
        )
    return ContentKey(algorithm, int(match["size"]), digest)


def _is_digest(text: str, algorithm: str) -> bool:
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    return len(text) == length and _DIGEST.fullmatch(text) is not None


def git_key(content: bytes) -> str:
    """Return the key of a file that git itself keeps: ``GIT-s<size in bytes>--<sha256>``.

    >>> git_key(b"hello")[:20]
    'GIT-s5--2cf24dba5fb0'
    """
    return f"GIT-s{len(content)}--{hashlib.sha256(content).hexdigest()}"


def content_digest(file: Path, algorithm: str) -> str:
    """Return the hash of a file's bytes in hexadecimal; ``algorithm`` is a name of hashlib."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def verify(file: Path, key: str, refetch: str = "") -> None:
    """Hash a working file and compare size and hash with its key.

    Parameters
    ----------
    file : file in a clone
    key : content key that the commit records for it
    refetch : command that fetches a missing file again, to be named in the error; ``""``: DataLad and git are named

    Raises
    ------
    DatasetError
        The file is missing, is still a pointer, or has another size or hash than the key says.
    """
    expected = parse_key(key)
    fetch = f"run `{refetch}`" if refetch else f"run `datalad get {file.name}` in {file.parent}"
    restore = f"run `rm -f {file}; {refetch}`"
    if not refetch:
        restore = f"run `rm -f {file.name}; git checkout -- {file.name}` in {file.parent}"
    if file.is_symlink() and not file.exists():
        raise DatasetError(f"{file} is a link to content that was not fetched; {fetch}.")
    if not file.is_file():
        raise DatasetError(f"{file} does not exist; {restore}.")
    size = file.stat().st_size
    if size != expected.size and is_pointer(file):
        raise DatasetError(f"{file} is a git-annex pointer file, not an image: its content was not fetched; {fetch}.")
    if size != expected.size:
        raise DatasetError(
            f"{file} was truncated or edited: it has {size} bytes, its key says {expected.size}; {restore}."
        )
    digest = content_digest(file, expected.algorithm)
    if digest != expected.digest:
        raise DatasetError(
            f"{file} was edited: its {expected.algorithm} is {digest[:12]}..., its key says "
            f"{expected.digest[:12]}...; {restore}."
        )
