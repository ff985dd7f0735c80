"""The parts that a record is made of: strict types, and numbers that may be undefined.

A number that is not defined is NaN in the type and null in the file.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, PlainSerializer

from ...base.params import Block


def _nan_for_null(value: object) -> object:
    infinite = isinstance(value, float) and not math.isfinite(value)
    return math.nan if value is None or infinite else value


def _null_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


_UNDEFINED = (BeforeValidator(_nan_for_null), PlainSerializer(_null_for_nan))
#: A number; NaN where it is not defined.
Number = Annotated[float, *_UNDEFINED]
#: A number that may be a count, which stays whole in the file.
CountOrNumber = Annotated[int | float, *_UNDEFINED]


class Part(Block):
    """Part of the record: a value of another type is refused and not converted."""

    # A Number that is not defined is NaN; an infinite one becomes NaN when it is read.
    model_config = ConfigDict(strict=True, allow_inf_nan=True)
