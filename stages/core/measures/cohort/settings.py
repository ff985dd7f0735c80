"""Settings of the stage `floor`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ...base.params import Count, Settings


class Floor(Settings):
    """How the runner floor is measured: on how many participants, and with which other settings than ``segment`` has.

    A setting that is null, or the same as there, is not tried. With 0 ``participants`` nothing is tried.
    """

    block: ClassVar = "floor"

    participants: Annotated[int, Field(ge=0)]
    threads: Count | None
    step: Annotated[float, Field(gt=0, le=1)] | None
    device: Literal["cpu", "cuda"] | None
    backend: Literal["openvino", "torch"] | None
    coarse_to_fine: bool | None = None
