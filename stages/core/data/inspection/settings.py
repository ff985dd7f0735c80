"""Settings of `check`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Positive, Settings


class Check(Settings):
    """From where on an image is suspect.

    ``spacing_mm``: least and largest voxel size. ``form_mm``: how far qform and sform may lie apart, at a corner.
    ``component_share``: smaller pieces of a mask are dust. ``clipped_share``: of voxels at the image's maximum.
    ``outlier_z``: robust z score of a mask's volume or length within its contrast, where ``outlier_n`` masks are
    there to compare with.
    """

    block: ClassVar = "check"

    spacing_mm: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    oblique_deg: Positive
    form_mm: Positive
    component_share: Annotated[float, Field(ge=0, lt=1)]
    clipped_share: Annotated[float, Field(gt=0, lt=1)]
    outlier_z: Positive
    outlier_n: Annotated[int, Field(ge=3)]
