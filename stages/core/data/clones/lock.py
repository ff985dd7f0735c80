"""One fetch of a clone at a time, and nothing left locked by one that was killed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...base.errors import CordriftError


@contextmanager
def alone(clone: Path) -> Iterator[None]:
    """Hold a clone (there already or not) while the block runs; locks that a killed git left in it are removed.

    The system lets go of the hold when this process ends, however it ends.

    Raises
    ------
    CordriftError
        Another process holds it.
    """
    clone.parent.mkdir(parents=True, exist_ok=True)
    hold = clone.with_name(f".lock-{clone.name}")
    with hold.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CordriftError(
                f"another fetch or withdrawal works on {clone} (it holds {hold}); wait until it ends, then run this "
                f"again."
            ) from error
        _unlock(clone / ".git")
        yield


def _unlock(repository: Path) -> None:
    """Remove git's lock files; those of git-annex (.lck) are held by the system and need no help."""
    for folder, pattern in (
        (repository, "*.lock"),
        (repository / "refs", "**/*.lock"),
        (repository / "annex", "*.lock"),
    ):
        for lock in sorted(folder.glob(pattern)):
            lock.unlink()
