"""Settings of `compare`: the rule."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Count, Positive, Settings


class Compare(Settings):
    """The rule of the comparison, fixed before results.

    ``margin_mm2``: a bias inside it is no drift. ``csa_std_margin_mm2``: by how much CSA STD and absolute CSA error may
    grow. ``alpha`` of each one-sided test. ``min_participants``: with fewer, nothing is called equivalent.
    ``atrophy_mm2_per_year``: what a year of disease takes, to state a bias in months of it; it judges nothing.
    """

    block: ClassVar = "compare"

    margin_mm2: Positive
    csa_std_margin_mm2: Positive
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    min_contrasts: Count
    min_participants: Annotated[int, Field(ge=2)]
    atrophy_mm2_per_year: Positive
