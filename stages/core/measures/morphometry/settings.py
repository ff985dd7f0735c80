"""Settings of the stage `measure`: the parameters of the ruler."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Positive, Settings


class Measure(Settings):
    """Parameters of the ruler.

    ``levels``: vertebrae of the monitored range (2 is C2). ``coverage``: least part of a level or range that the mask
    must cover. ``stiffness_mm``: stiffness of the centreline of a soft mask.
    """

    block: ClassVar = "measure"

    levels: list[Annotated[int, Field(ge=1, le=25)]]
    coverage: Annotated[float, Field(gt=0, le=1)]
    stiffness_mm: Positive
