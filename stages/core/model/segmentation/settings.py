"""Settings of the stage `segment`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ...base.params import Count, Name, Settings


class Segment(Settings):
    """How the monitored images are segmented.

    ``step``: distance of neighbouring tiles in parts of a tile. ``mirror``: average over mirrored images, where the
    bundle allows it. ``threshold``: probability from which a voxel belongs to the binary mask. ``largest_component``:
    drop all other components.
    """

    block: ClassVar = "segment"

    datasets: list[Name]
    contrasts: list[Name]
    shards: list[Annotated[int, Field(ge=0)]]
    step: Annotated[float, Field(gt=0, le=1)]
    mirror: bool
    threshold: Annotated[float, Field(gt=0, lt=1)]
    largest_component: bool
    device: Literal["cpu", "cuda"]
    threads: Count
