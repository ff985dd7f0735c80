"""Settings of `check`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Positive, Settings


class Check(Settings):
    """Limits beyond which an image is reported.

    Attributes
    ----------
    spacing_mm : smallest and largest voxel size
    oblique_deg : largest angle between a voxel axis and the nearest axis of the scanner
    form_mm : largest distance between the places of a corner according to qform and to sform
    component_share : pieces of a mask with at most this share of its voxels are ignored
    clipped_share : largest share of voxels that may have the image's largest value
    outlier_z : largest robust z score of a mask's volume or length among the masks of its contrast
    outlier_n : number of masks of a contrast that are needed for that comparison
    """

    block: ClassVar = "check"

    spacing_mm: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    oblique_deg: Positive
    form_mm: Positive
    component_share: Annotated[float, Field(ge=0, lt=1)]
    clipped_share: Annotated[float, Field(gt=0, lt=1)]
    outlier_z: Positive
    outlier_n: Annotated[int, Field(ge=3)]
