"""Settings of `fetch`, and the datasets and contrasts that are monitored."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from ...base.errors import SettingsError, did_you_mean
from ...base.params import Count, Name, Settings, load_yaml

#: All keys at the top of ``params.yaml``. Each stage reads its own block; the first stages refuse what no stage reads.
BLOCKS = (
    "profile",
    "fetch",
    "check",
    "prepare",
    "paint",
    "train",
    "segment",
    "measure",
    "floor",
    "history",
    "survey",
    "compare",
    "report",
    "register",
)


def check_blocks(path: Path = Path("params.yaml")) -> None:
    """Refuse a file of params with a block that no stage knows: it is a misspelling, and would pass in silence.

    Raises
    ------
    SettingsError
        A block is unknown; the sentence suggests the name that was meant.
    """
    value = load_yaml(path)
    unknown = [str(key) for key in value if key not in BLOCKS] if isinstance(value, dict) else []
    if unknown:
        raise SettingsError(f"{path}: unknown key {unknown[0]!r}{did_you_mean(unknown[0], BLOCKS)}.")


class Fetch(Settings):
    """The registry entries that are fetched, and the number of parallel transfers."""

    block: ClassVar = "fetch"

    datasets: list[Name]
    jobs: Count


class Monitored(Settings):
    """The datasets and contrasts that are monitored. The other keys of the block ``segment`` are ignored."""

    block: ClassVar = "segment"
    model_config = ConfigDict(extra="ignore")

    datasets: list[Name]
    contrasts: list[Name]
