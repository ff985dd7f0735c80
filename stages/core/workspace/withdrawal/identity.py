"""The ids under which somebody's data lie, and where a text, a path or a table speaks of one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from ...data.datasets.keys import ContentKey

#: A participant's id as the registry allows it.
PARTICIPANT = re.compile(r"sub-[A-Za-z0-9]+")
#: Where a JSON file says what was *not* taken.
LEFT_OUT = ("excluded", "left_out", "withdrawn")


def token(participants: Iterable[str]) -> re.Pattern[str]:
    """Match any of the ids as a whole: ``sub-1`` is not in ``sub-12``."""
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, sorted(participants)))})(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Identity:
    """Somebody's data.

    Attributes
    ----------
    ids : (dataset, participant)
    registered : names of all datasets of the registry. Of a dataset that is not among them any more, the participant's
        id alone counts.
    images : content of their images, for copies under other names
    """

    ids: frozenset[tuple[str, str]]
    registered: frozenset[str]
    images: frozenset[ContentKey | str]

    @cached_property
    def participants(self) -> frozenset[str]:
        """Their ids, whatever the dataset."""
        return frozenset(participant for _, participant in self.ids)

    @cached_property
    def _token(self) -> re.Pattern[str]:
        return token(self.participants)

    @cached_property
    def _others(self) -> frozenset[str]:
        return self.registered - {dataset for dataset, _ in self.ids}

    def has(self, dataset: str, participant: str) -> bool:
        """Tell whether a participant of a dataset is this person."""
        if dataset in self.registered:
            return (dataset, participant) in self.ids
        return participant in self.participants

    def in_text(self, text: str) -> bool:
        """Tell whether a text names one of the ids."""
        return self._token.search(text) is not None

    def in_path(self, path: str) -> bool:
        """Tell whether a path or a case name names one of the ids, and no dataset in which it is somebody else."""
        if not self.in_text(path):
            return False
        parts = path.split("/")
        return not any(part == name or part.startswith(f"{name}_") for part in parts for name in self._others)

    def in_file(self, path: Path) -> bool:
        """Tell whether a table, a JSON file or a page speaks of them otherwise than as left out."""
        text = path.read_text(encoding="utf-8", errors="replace")
        if not self.in_text(text):
            return False
        if path.suffix == ".csv":
            return self._in_table(text)
        if path.suffix == ".json":
            try:
                return self._in_json(json.loads(text), None)
            except json.JSONDecodeError:
                return True
        return True

    def _in_table(self, text: str) -> bool:
        table = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
        if "participant" not in table.columns:
            return True
        if "dataset" not in table.columns:
            return bool(table["participant"].isin(self.participants).any())
        return any(self.has(*pair) for pair in zip(table["dataset"], table["participant"], strict=True))

    def _in_json(self, value: Any, dataset: str | None) -> bool:
        if isinstance(value, dict):
            own = value.get("dataset")
            inside = own if isinstance(own, str) else dataset
            return any(self._in_json(item, inside) for key, item in value.items() if key not in LEFT_OUT)
        if isinstance(value, list):
            return any(self._in_json(item, dataset) for item in value)
        if not isinstance(value, str) or not self.in_path(value):
            return False
        return dataset is None or any(self.has(dataset, found) for found in self._token.findall(value))
