"""Settings of `measure`: the ruler."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Positive, Settings


class Measure(Settings):
    """The ruler: vertebral levels of the range, least coverage of a range, stiffness of the centreline."""

    block: ClassVar = "measure"

    levels: list[Annotated[int, Field(ge=1, le=25)]]
    coverage: Annotated[float, Field(gt=0, le=1)]
    stiffness_mm: Positive
