"""Recording a withdrawal in the registry. All stages read the registry and leave the participant out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...data.datasets.registry import load_registry
from ..runs.yaml_edit import edit_yaml

#: Keys of an entry behind which the key ``withdrawn`` may be inserted, the preferred one first.
_PLACES = ("role", "licence", "commit", "tag", "url")


def exclude(path: Path, ids: Iterable[tuple[str, str]], reason: str) -> list[tuple[str, str]]:
    """Write ids (dataset, participant) under ``withdrawn`` in the registry and return those that are new there.

    An id that is recorded already keeps its reason. Comments and all other content of the file stay.

    Raises
    ------
    CordriftError
        The registry is faulty, or would become faulty. It was not changed then.
    """
    datasets = load_registry(path).datasets
    new = [(name, sub) for name, sub in sorted(ids) if name in datasets and sub not in datasets[name].withdrawn]

    def change(registry: Any) -> None:
        for name, participant in new:
            entry = registry["datasets"][name]
            if entry.get("withdrawn") is None:
                entry.insert(_place(entry), "withdrawn", {})
            # Insert at the front, because a comment after the last participant belongs to the next entry.
            if hasattr(entry["withdrawn"], "insert"):
                entry["withdrawn"].insert(0, participant, reason)
            else:
                entry["withdrawn"][participant] = reason

    if new:
        edit_yaml(path, change, load_registry)
    return new


def _place(entry: Any) -> int:
    """Return an index behind a key that no comment follows, so that every comment stays above the line it is about."""
    names = list(entry)
    return 1 + next((names.index(name) for name in _PLACES if name in names and name not in entry.ca.items), 0)
