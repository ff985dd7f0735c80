"""Settings of `compare`: the rule."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ...base.params import Count, Positive, Settings


class Compare(Settings):
    """The rule of the comparison, fixed before results.

    Attributes
    ----------
    margin_mm2 : a bias inside it is no drift
    csa_std_margin_mm2 : CSA STD and absolute CSA error may grow by less than this
    alpha : of each one-sided test
    min_contrasts : a participant with fewer contrasts measured by both versions is not pooled
    min_participants : with fewer, a contrast is not called equivalent
    atrophy_mm2_per_year : how much a cord shrinks in a year of disease, to state a bias in months; it judges nothing
    """

    block: ClassVar = "compare"

    margin_mm2: Positive
    csa_std_margin_mm2: Positive
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    min_contrasts: Count
    min_participants: Annotated[int, Field(ge=2)]
    atrophy_mm2_per_year: Positive
