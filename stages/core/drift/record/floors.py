"""What moves when nothing should: ``floor.json`` of the stage floor, as a part of the record."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from ...base.files import read_json
from ...base.params import validate
from .parts import Number, Part


class RunnerFloor(Part):
    """What another way of running the same bundle on the same images moves (mm2), over n cases; ``lost`` had no value.

    ``participants`` is of how many people the cases are.
    ``mean_mm2`` is signed; ``mean_abs_mm2`` and ``worst_mm2`` are absolute.
    """

    variant: str
    participants: int = 0
    n: int
    lost: int
    mean_mm2: Number
    mean_abs_mm2: Number
    worst_mm2: Number


class SeedFloor(Part):
    """What training again with another seed moves (mm2), over n participants; CSA STD over ``n_csa_std``."""

    seed: str
    bundle: str
    n: int
    bias_mm2: Number
    csa_std_difference_mm2: Number
    n_csa_std: int = 0


class Floors(Part):
    """What moves when nothing should."""

    runner: list[RunnerFloor]
    seeds: list[SeedFloor]

    @property
    def runner_mm2(self) -> float:
        """Largest mean change of CSA between two ways of running (mm2); NaN where none was tried."""
        return _largest(row.mean_mm2 for row in self.runner)

    @property
    def seeds_mm2(self) -> float:
        """Largest bias between two seeds (mm2); NaN where no other seed was trained."""
        return _largest(row.bias_mm2 for row in self.seeds)

    @property
    def seeds_csa_std_mm2(self) -> float:
        """Largest change of CSA STD between two seeds (mm2); NaN where no other seed was trained."""
        return _largest(row.csa_std_difference_mm2 for row in self.seeds)


def _largest(values: Iterable[float]) -> float:
    """Return the largest absolute value of those that are defined."""
    return max((abs(value) for value in values if not math.isnan(value)), default=math.nan)


def read_floors(path: Path) -> Floors:
    """Read the floors from ``floor.json`` of the stage floor."""
    value = read_json(path)
    floors: Floors = validate(Floors, {key: value.get(key) for key in Floors.model_fields}, str(path))
    return floors
