"""Writing a withdrawal into the registry: the record of it, from which everything else follows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...data.datasets.registry import load_registry
from ..runs.yaml_edit import edit_yaml

#: Keys of an entry behind which ``withdrawn`` may be put, by preference.
_PLACES = ("role", "licence", "commit", "tag", "url")


def exclude(path: Path, ids: Iterable[tuple[str, str]], reason: str) -> list[tuple[str, str]]:
    """Write (dataset, participant) into ``withdrawn`` of the entries; returns those that were not there before.

    An id that is there keeps the reason under which it was written. Comments stay, and so does everything else.

    Raises
    ------
    CordriftError
        The registry is faulty, or would be. It is then as it was.
    """
    datasets = load_registry(path).datasets
    new = [(name, sub) for name, sub in sorted(ids) if name in datasets and sub not in datasets[name].withdrawn]

    def change(registry: Any) -> None:
        for name, participant in new:
            entry = registry["datasets"][name]
            if entry.get("withdrawn") is None:
                entry.insert(_place(entry), "withdrawn", {})
            # First, since a comment that follows the last one belongs to what comes after it.
            if hasattr(entry["withdrawn"], "insert"):
                entry["withdrawn"].insert(0, participant, reason)
            else:
                entry["withdrawn"][participant] = reason

    if new:
        edit_yaml(path, change, load_registry)
    return new


def _place(entry: Any) -> int:
    """Return the place behind a key that no comment follows: the comment would get between them."""
    names = list(entry)
    return 1 + next((names.index(name) for name in _PLACES if name in names and name not in entry.ca.items), 0)
