"""The ids of the withdrawn person, and the test whether a text, a path or a table contains one of them."""

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

#: The ids of participants that the registry allows.
PARTICIPANT = re.compile(r"sub-[A-Za-z0-9]+")
#: Keys under which a JSON file lists participants whose data it does *not* use.
LEFT_OUT = ("excluded", "left_out", "withdrawn")


def id_pattern(participants: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of the ids as a whole word: ``sub-1`` is not found in ``sub-12``."""
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, sorted(participants)))})(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Identity:
    """Everything by which the data of the withdrawn person are recognised.

    Attributes
    ----------
    ids : (dataset, participant), all ids of the person
    registered : names of all datasets of the registry. In a dataset that is not among them any more, the participant's
        id alone decides.
    images : content of the person's images, to recognise copies under other names
    """

    ids: frozenset[tuple[str, str]]
    registered: frozenset[str]
    images: frozenset[ContentKey | str]

    @cached_property
    def participants(self) -> frozenset[str]:
        """The ids without their datasets."""
        return frozenset(participant for _, participant in self.ids)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return id_pattern(self.participants)

    @cached_property
    def _other_datasets(self) -> frozenset[str]:
        """The datasets of the registry that hold no data of the person."""
        return self.registered - {dataset for dataset, _ in self.ids}

    def has(self, dataset: str, participant: str) -> bool:
        """Tell whether a participant of a dataset is this person."""
        if dataset in self.registered:
            return (dataset, participant) in self.ids
        return participant in self.participants

    def in_text(self, text: str) -> bool:
        """Tell whether a text contains one of the ids."""
        return self._pattern.search(text) is not None

    def in_path(self, path: str) -> bool:
        """Tell whether a path or the name of a case contains one of the ids, and the path is not in another dataset.

        In another dataset the same id belongs to another person.
        """
        if not self.in_text(path):
            return False
        parts = path.split("/")
        return not any(part == name or part.startswith(f"{name}_") for part in parts for name in self._other_datasets)

    def in_file(self, path: Path) -> bool:
        """Tell whether a table, a JSON file or a page contains one of the ids, lists of excluded participants aside."""
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
        return dataset is None or any(self.has(dataset, found) for found in self._pattern.findall(value))
