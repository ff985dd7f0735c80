"""Vertebral levels from disc labels: which slice belongs to which vertebra, and how much of a range is covered.

Disc N lies on top of vertebra N (3 = C2/C3). A disc's place along the centreline is the centre of the slice that
holds its label; a slice belongs to vertebra N when its centre lies at or below disc N and above disc N + 1. Above
the first and below the last disc the level is unknown (0). Where several discs share a slice the lowest owns it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import CordriftError
from stages.core.volumes import Volume

Floats = NDArray[np.float64]
#: Discs 1 to 25 lie on top of C1 to S1. Larger labels mark other landmarks (such as 49, 50: brain stem) and are left.
LAST_DISC = 25
UNKNOWN = 0


@dataclass(frozen=True)
class Discs:
    """Slice index of each labelled disc: ``slices[number]``; numbers ascend, slices never rise."""

    slices: dict[int, int]

    @property
    def shared(self) -> set[int]:
        """Slices that hold more than one disc."""
        held = list(self.slices.values())
        return {index for index in held if held.count(index) > 1}


def level_name(vertebra: int) -> str:
    """Name of a vertebra: 2 is C2, 8 is T1, 20 is L1, 25 is S1."""
    for first, letter in ((25, "S"), (20, "L"), (8, "T"), (1, "C")):
        if vertebra >= first:
            return f"{letter}{vertebra - first + 1}"
    raise CordriftError(f"a vertebra's number must be 1 or more, not {vertebra}.")


def range_name(levels: list[int]) -> str:
    """Name of the range from the first to the last of ascending ``levels``: [2, 3] is C2-C3, [2] is C2.

    Raises
    ------
    CordriftError
        No level, or levels that do not ascend.
    """
    if not levels or levels != sorted(set(levels)):
        raise CordriftError(f"measure.levels must be ascending vertebrae such as [2, 3], not {levels}.")
    first, last = level_name(levels[0]), level_name(levels[-1])
    return first if len(levels) == 1 else f"{first}-{last}"


def read_discs(labels: Volume) -> Discs:
    """Find the discs in a volume of single-voxel labels.

    Raises
    ------
    CordriftError
        A label that is no whole number or occurs twice; discs out of order (a higher number above a lower one).
    """
    where = np.argwhere(labels.data != 0)
    values = labels.data[tuple(where.T)].astype(np.float64)
    if len(values) and float(np.abs(values - np.round(values)).max()) > 1e-3:
        raise CordriftError("disc labels must be whole numbers; this volume was interpolated.")
    slices: dict[int, int] = {}
    for value, voxel in sorted(zip(np.round(values).astype(int).tolist(), where.tolist(), strict=True)):
        if not 1 <= value <= LAST_DISC:
            continue
        if value in slices:
            raise CordriftError(f"disc {value} is labelled twice (slices {slices[value]} and {voxel[2]}).")
        slices[value] = voxel[2]
    for (above, upper), (below, lower) in zip(list(slices.items())[:-1], list(slices.items())[1:], strict=True):
        if lower > upper:
            raise CordriftError(
                f"disc {below} (slice {lower}) lies above disc {above} (slice {upper}); discs must descend."
            )
    return Discs(slices)


def assign(discs: Discs, n_slices: int) -> NDArray[np.int64]:
    """Vertebra of each of ``n_slices`` slices, (n_slices,); 0 where unknown.

    A vertebra is known where both its discs are: the numbers must follow each other.
    """
    level = np.full(n_slices, UNKNOWN, dtype=np.int64)
    for vertebra, top in discs.slices.items():
        bottom = discs.slices.get(vertebra + 1)
        if bottom is not None:
            level[bottom + 1 : top + 1] = vertebra
    return level


def coverage(
    discs: Discs, first: int, last: int, *, index: NDArray[np.int64], cosine: Floats, n_slices: int, slice_mm: float
) -> float:
    """Part of the cord between the top of ``first`` and the bottom of ``last`` in which the mask shows cord, [0, 1].

    Lengths are mm along the centreline; a slice stands for its full thickness (half of it above a disc at its
    centre). NaN where either disc is not labelled or both lie in one slice: the length is unknown.

    Parameters
    ----------
    index, cosine : (n,) slices with cord, ascending, and the cosine of the centreline's angle there
    """
    top, bottom = discs.slices.get(first), discs.slices.get(last + 1)
    if top is None or bottom is None or top <= bottom or not len(index):
        return float("nan")
    every = np.arange(n_slices)
    inside = np.clip(np.minimum(every + 0.5, top) - np.maximum(every - 0.5, bottom), 0.0, None) * slice_mm
    nearest = np.abs(every[:, None] - index[None, :]).argmin(axis=1)
    length = inside / cosine[nearest]
    return float(length[index].sum() / length.sum())
