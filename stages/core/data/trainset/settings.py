"""Settings of `prepare`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Count, Name, Seed, Settings


class Prepare(Settings):
    """The training data.

    Attributes
    ----------
    datasets : training entries of the registry
    contrasts : contrasts to train on; None: all that the registry lists
    seed : decides which participants validate in which fold
    folds : number of folds; 1 is a single split
    max_unreviewed : largest share of the masks, 0 to 1, that a model drafted and nobody looked at
    """

    block: ClassVar = "prepare"

    datasets: list[Name]
    contrasts: list[Name] | None
    seed: Seed
    folds: Count
    max_unreviewed: Annotated[float, Field(ge=0, le=1)] = 0.0
