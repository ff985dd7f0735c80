"""Settings of `survey`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Settings


class Survey(Settings):
    """How groups of images are compared.

    Attributes
    ----------
    permutations : of the participants; p values are not smaller than 1 / (permutations + 1)
    alpha : a feature whose adjusted p is at most this differs
    seed : of the permutations
    """

    block: ClassVar = "survey"

    permutations: Annotated[int, Field(ge=99, le=99_999)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]
