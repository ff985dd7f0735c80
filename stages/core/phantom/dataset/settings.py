"""Settings of the stage `paint`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Count, Seed, Settings


class Paint(Settings):
    """The pool: ``anatomies`` maps (0: none) of ``size`` voxels along x, y, z, painted by ``workers`` processes."""

    block: ClassVar = "paint"

    anatomies: Annotated[int, Field(ge=0, le=100_000)]
    size: Annotated[list[Annotated[int, Field(ge=16, le=512)]], Field(min_length=3, max_length=3)]
    voxel_mm: Annotated[float, Field(ge=0.5, le=2.5)]
    seed: Seed
    workers: Count
