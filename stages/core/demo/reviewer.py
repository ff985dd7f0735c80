"""A reviewer who knows the truth of the generated cohort, and marks drafts as a person would who sees the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..annotation.acceptance.worklist import area_change
from ..annotation.review.marks import FAIL, FIX, PASS
from ..annotation.review.panel import shown_sections
from ..data.inspection.features import contrast_to_noise
from ..images.volumes import Volume

#: A section is drawn well where its Dice with the truth is at least this; all that the page shows must be.
LEAST_SECTION_DICE = 0.90
#: Below this contrast-to-noise at its border, nobody can see the cord: the image is of no use.
LEAST_CONTRAST = 0.5
#: A mask is wrong where its mean area is off by more than this share, or its Dice with the truth is smaller.
MOST_AREA_ERROR, LEAST_DICE = 0.05, 0.90


@dataclass(frozen=True)
class Seen:
    """What the reviewer makes of one draft.

    Attributes
    ----------
    mark : pass, fix or fail
    area_error : relative error of the mean area, over the slices that both masks hold
    dice : with the truth, 0 to 1
    """

    mark: str
    area_error: float
    dice: float

    @property
    def wrong(self) -> bool:
        """Tell whether the draft is wrong, whatever the eye says: a small error all along the border is not seen."""
        return not (abs(self.area_error) <= MOST_AREA_ERROR and self.dice >= LEAST_DICE)


def look(image: Volume, draft: Volume, truth: Volume) -> Seen:
    """Mark one draft; all three are (nx, ny, nz) on one grid.

    The sections that the page shows are compared with the truth, and the ends of the mask as the view from the side
    shows them: a draft that misses a tenth of the cord's length is to be fixed.
    """
    body, real = draft.data >= 0.5, truth.data >= 0.5
    if not contrast_to_noise(image, real) >= LEAST_CONTRAST:
        mark = FAIL
    else:
        sections = [_dice(body[:, :, k], real[:, :, k]) for k in shown_sections(body)]
        missed = real.any(axis=(0, 1)) & ~body.any(axis=(0, 1))
        long_enough = missed.sum() <= 0.1 * real.any(axis=(0, 1)).sum()
        mark = PASS if min(sections) >= LEAST_SECTION_DICE and long_enough else FIX
    return Seen(mark, area_change(Volume(body.astype(np.float32), draft.affine), truth), _dice(body, real))


def _dice(a: NDArray[Any], b: NDArray[Any]) -> float:
    return 2 * float((a & b).sum()) / max(int(a.sum() + b.sum()), 1)
