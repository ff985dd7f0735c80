"""One process at a time works on a clone; lock files that a killed process left behind are removed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...base.errors import DatasetError


@contextmanager
def clone_lock(clone: Path) -> Iterator[None]:
    """Keep other fetches and withdrawals away from a clone while the block runs.

    The clone need not exist yet. Lock files that a killed git left in it are removed first. The operating system
    releases the lock when this process ends, also when it is killed.

    Raises
    ------
    DatasetError
        Another process holds the lock.
    """
    clone.parent.mkdir(parents=True, exist_ok=True)
    lock_file = clone.with_name(f".lock-{clone.name}")
    with lock_file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatasetError(
                f"another fetch or withdrawal works on {clone} (it holds {lock_file}); wait until it ends, then run "
                "this again."
            ) from error
        _remove_stale_locks(clone / ".git")
        yield


def _remove_stale_locks(repository: Path) -> None:
    """Remove the lock files of git. Those of git-annex (.lck) are released by the operating system."""
    for folder, pattern in (
        (repository, "*.lock"),
        (repository / "refs", "**/*.lock"),
        (repository / "info", "*.lock"),
        (repository / "objects", "*.lock"),
        (repository / "annex", "*.lock"),
    ):
        for lock in sorted(folder.glob(pattern)):
            lock.unlink()
