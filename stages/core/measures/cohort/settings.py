"""Settings of `floor`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ...base.params import Count, Settings


class Floor(Settings):
    """How the runner floor is taken: on how many participants, and with what instead of the settings of ``segment``.

    What is null, or the same as there, is not tried; ``participants`` 0 tries nothing.
    """

    block: ClassVar = "floor"

    participants: Annotated[int, Field(ge=0)]
    threads: Count | None
    step: Annotated[float, Field(gt=0, le=1)] | None
    device: Literal["cpu", "cuda"] | None
