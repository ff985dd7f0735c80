"""The annex objects of a clone: which blobs of git stand for them, whether their content is there, and dropping it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ...base.errors import DatasetError
from .programs import TIMED_OUT, call

#: The longest time (s) for deleting the content of one participant, which usually takes seconds.
LIMIT_S = 600.0


def keys_of_blobs(clone: Path, blobs: Iterable[str]) -> dict[str, str]:
    """Return blob -> annex key, for the blobs that are pointers or links to annexed content.

    Raises
    ------
    DatasetError
        git-annex fails.
    """
    asked = sorted(blobs)
    answer = _annex(clone, ["lookupkey", "--ref", "--batch"], asked).splitlines()
    if len(answer) != len(asked):
        raise DatasetError(f"git-annex answered {len(answer)} of {len(asked)} questions about keys in {clone}.")
    return {blob: key for blob, key in zip(asked, answer, strict=True) if key}


def is_present(clone: Path, key: str) -> bool:
    """Tell whether the clone holds the content of a key."""
    return call(["git", "-C", str(clone), "annex", "contentlocation", key]).returncode == 0


def drop_objects(clone: Path, keys: Sequence[str]) -> None:
    """Delete the content of keys from the clone, even where no other copy is known.

    Raises
    ------
    DatasetError
        git-annex fails.
    """
    if keys:
        _annex(clone, ["dropkey", "--force", "--batch"], keys, limit_s=LIMIT_S)


def _annex(clone: Path, words: Sequence[str], stdin: Sequence[str], limit_s: float | None = None) -> str:
    asked = "".join(f"{line}\n" for line in stdin).encode()
    done = call(["git", "-C", str(clone), "annex", *words], stdin=asked, limit_s=limit_s)
    if done.returncode == TIMED_OUT:
        raise DatasetError(
            f"`git annex {words[0]}` did not end within {limit_s:g} s in {clone}; it waits for ever where the disk is "
            "full. Free space and run the same command again: it continues where it stopped."
        )
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DatasetError(f"`git annex {words[0]}` failed in {clone}: {why[-1].rstrip('.')}.")
    return done.stdout.decode(errors="surrogateescape")
