"""Content keys: what git-annex (or git) says a file holds, and the proof that the working file holds it.

``git annex fsck`` looks at its own object store and calls a truncated unlocked file ok, so a file is only
trusted after its *working* bytes were hashed here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import CordriftError
from ...images.volumes import is_pointer

_KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?:-[mSC]\d+)*-s(?P<size>\d+)(?:-[mSC]\d+)*--(?P<name>.+)")
_DIGEST = re.compile(r"[0-9a-f]+")
#: Backends whose key names a hash of the content. ``GIT`` is ours, for a file that git itself keeps.
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
    """A key taken apart: hash ``algorithm`` of hashlib, ``size`` in bytes, ``digest`` in hexadecimal."""

    algorithm: str
    size: int
    digest: str


def parse_key(key: str) -> ContentKey:
    """Take a key such as ``SHA256E-s1024--<hash>.nii.gz`` apart.

    Raises
    ------
    CordriftError
        The key has no size or names no content hash (backends URL and WORM): such content cannot be verified.
    """
    match = _KEY.fullmatch(key)
    backend = key.split("-", 1)[0]
    # A backend that ends in E adds the file's extension after the hash: SHA256E, MD5E.
    algorithm = _ALGORITHMS.get(backend) or _ALGORITHMS.get(backend.removesuffix("E"))
    digest = match["name"].split(".", 1)[0] if match else ""
    if match is None or algorithm is None or not _is_digest(digest, algorithm):
        raise CordriftError(
            f"annex key {key!r} names no size and content hash that can be checked; expected a key such as "
            "SHA256E-s<size>--<hash>. Convert it in the dataset with `git annex migrate --backend=SHA256E`."
        )
    return ContentKey(algorithm, int(match["size"]), digest)


def _is_digest(text: str, algorithm: str) -> bool:
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    return len(text) == length and _DIGEST.fullmatch(text) is not None


def git_key(content: bytes) -> str:
    """Return the key of a file that git keeps itself: ``GIT-s<size>--<sha256>``."""
    return f"GIT-s{len(content)}--{hashlib.sha256(content).hexdigest()}"


def content_digest(file: Path, algorithm: str) -> str:
    """Hash a file's bytes with one of hashlib's algorithms; hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def verify(file: Path, key: str, again: str = "") -> None:
    """Hash the working file and compare it with its key.

    ``again`` is the command that fetches a file anew after it was removed, for the sentence; else git's own is named.

    Raises
    ------
    CordriftError
        The file is missing, still a pointer, shorter or longer than the key says, or of other content.
    """
    expected = parse_key(key)
    fetch = f"run `{again}`" if again else f"run `datalad get {file.name}` in {file.parent}"
    restore = f"run `rm -f {file}; {again}`"
    if not again:
        restore = f"run `rm -f {file.name}; git checkout -- {file.name}` in {file.parent}"
    if file.is_symlink() and not file.exists():
        raise CordriftError(f"{file} is a link to content that was not fetched; {fetch}.")
    if not file.is_file():
        raise CordriftError(f"{file} does not exist; {restore}.")
    size = file.stat().st_size
    if size != expected.size and is_pointer(file):
        raise CordriftError(f"{file} is a git-annex pointer file, not an image: its content was not fetched; {fetch}.")
    if size != expected.size:
        raise CordriftError(
            f"{file} was truncated or edited: it has {size} bytes, its key says {expected.size}; {restore}."
        )
    digest = content_digest(file, expected.algorithm)
    if digest != expected.digest:
        raise CordriftError(
            f"{file} was edited: its {expected.algorithm} is {digest[:12]}..., its key says "
            f"{expected.digest[:12]}...; {restore}."
        )
