"""Settings of `prepare`."""

from __future__ import annotations

from typing import ClassVar

from ...base.params import Count, Name, Settings


class Prepare(Settings):
    """What becomes training data.

    ``datasets`` are training entries of the registry; ``contrasts`` limits them (null: all that the registry
    lists). Participants are split per site into ``folds`` with ``seed``.
    """

    block: ClassVar = "prepare"

    datasets: list[Name]
    contrasts: list[Name] | None
    seed: int
    folds: Count
