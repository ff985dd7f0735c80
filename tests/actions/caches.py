"""actions/cache: caches that outlive a run. A key, once saved, never changes.

A cache is seen by runs of the ref that saved it and, when the default branch saved it, by all. A release runs on its
tag, so that what it saves is never seen by the next release.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from actions.errors import WorkflowError
from actions.globs import SPECIAL, absolute, lines


@dataclass(frozen=True)
class Cache:
    """A saved cache, and who saved it."""

    key: str
    paths: tuple[str, ...]
    ref: str
    workflow: str
    job: str
    folder: Path


class State:
    """The caches of a repository, kept from run to run.

    Args:
        folder: Where they lie.
        default_branch: The ref whose caches every run sees.
    """

    def __init__(self, folder: Path, default_branch: str = "refs/heads/main") -> None:
        self.folder = folder
        self.default_branch = default_branch
        self.caches: list[Cache] = []
        self._lock = threading.Lock()

    def find(self, key: str, restore_keys: list[str], paths: tuple[str, ...], ref: str) -> Cache | None:
        """Return the cache that GitHub would restore: in this ref, then in the default branch, newest first."""
        for place in dict.fromkeys([ref, self.default_branch]):
            seen = [cache for cache in reversed(self.caches) if cache.ref == place and cache.paths == paths]
            for match in [lambda name: name == key, *(_prefix(start) for start in [key, *restore_keys])]:
                for cache in seen:
                    if match(cache.key):
                        return cache
        return None

    def restore(self, cache: Cache, base: Path, home: Path) -> None:
        """Put the files of a cache in their places."""
        for at, line in enumerate(cache.paths):
            saved = cache.folder / str(at)
            if saved.exists():
                _copy(saved, Path(absolute(line, base, home)))

    def save(self, key: str, paths: tuple[str, ...], ref: str, who: tuple[str, str], base: Path, home: Path) -> str:
        """Save paths under a key, and return what the log says; a key that is there stays as it is."""
        found = [(at, path) for at, line in enumerate(paths) if (path := Path(absolute(line, base, home))).exists()]
        if not found:
            return "Path Validation Error: Path(s) specified in the action for caching do(es) not exist"
        with self._lock:
            if any((cache.key, cache.paths, cache.ref) == (key, paths, ref) for cache in self.caches):
                return f"Failed to save: Unable to reserve cache with key {key}"
            folder = self.folder / f"cache-{len(self.caches) + 1}"
            for at, path in found:
                _copy(path, folder / str(at))
            self.caches.append(Cache(key, paths, ref, *who, folder))
        return f"Cache saved with key: {key}"


def paths_of(text: str) -> tuple[str, ...]:
    """Return the lines of the input ``path``, which decide with the key which cache it is.

    Raises:
        WorkflowError: one has a wildcard, which is not emulated, or none is there.
    """
    found = tuple(lines(text))
    if not found or any(SPECIAL.search(line) or line.startswith("!") for line in found):
        raise WorkflowError(f"cache: path {text!r} must be plain paths, one a line")
    return found


def _prefix(start: str):  # type: ignore[no-untyped-def]
    return lambda name: name.startswith(start)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, to)
