"""Settings of `fetch`, and which datasets are monitored."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict

from ...base.params import Count, Name, Settings


class Fetch(Settings):
    """Which registry entries are fetched, and with how many parallel transfers."""

    block: ClassVar = "fetch"

    datasets: list[Name]
    jobs: Count


class Monitored(Settings):
    """Which datasets and contrasts are monitored, of the block ``segment``; how they are segmented is not read."""

    block: ClassVar = "segment"
    model_config = ConfigDict(extra="ignore")

    datasets: list[Name]
    contrasts: list[Name]
