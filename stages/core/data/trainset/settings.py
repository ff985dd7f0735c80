"""Settings of `prepare`."""

from __future__ import annotations

from typing import ClassVar

from ...base.params import Count, Name, Seed, Settings


class Prepare(Settings):
    """The training data.

    Attributes
    ----------
    datasets : training entries of the registry
    contrasts : contrasts to train on; None: all that the registry lists
    seed : decides which participants validate in which fold
    folds : number of folds; 1 is a single split
    """

    block: ClassVar = "prepare"

    datasets: list[Name]
    contrasts: list[Name] | None
    seed: Seed
    folds: Count
