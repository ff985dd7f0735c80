"""Pinning an entry of the registry to a tag and a commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...data.datasets.registry import entry, load_registry
from .yaml_edit import edit_yaml


def pin_dataset(path: Path, dataset: str, tag: str, commit: str) -> None:
    """Write a tag and a commit into an entry of the registry. Comments and the order of the keys stay.

    Parameters
    ----------
    path : the registry
    dataset : name of the entry
    tag : a tag of the dataset's repository
    commit : the commit to which the tag points, 40 hexadecimal digits

    Raises
    ------
    CordriftError
        The registry is missing or faulty, has no such entry, or would be faulty with this pin. It was not changed then.
    """
    entry(load_registry(path), dataset, path)

    def change(registry: Any) -> None:
        registry["datasets"][dataset].update(tag=tag, commit=commit)

    edit_yaml(path, change, load_registry)
