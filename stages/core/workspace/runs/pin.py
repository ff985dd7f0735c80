"""Pinning a dataset of the registry to a commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...data.datasets.registry import entry, load_registry
from .yaml_edit import edit_yaml


def pin_dataset(path: Path, dataset: str, tag: str, commit: str) -> None:
    """Write a tag and commit into a registry entry; comments and the order of everything else stay.

    Raises
    ------
    CordriftError
        The registry is missing or faulty, has no such entry, or would be faulty with this pin. It is not changed.
    """
    entry(load_registry(path), dataset, path)

    def change(registry: Any) -> None:
        registry["datasets"][dataset].update(tag=tag, commit=commit)

    edit_yaml(path, change, load_registry)
