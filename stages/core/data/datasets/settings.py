"""Settings of `fetch`, and the datasets and contrasts that are monitored."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict

from ...base.params import Count, Name, Settings


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
