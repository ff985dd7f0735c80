"""Vertebral levels: which slice belongs to which vertebra, and how much of a range is covered.

Disc N lies on top of vertebra N (3 = C2/C3). A disc's place along the centreline is the height of its label, in slices;
a slice belongs to vertebra N when its centre lies at or below disc N and above disc N + 1. Above the first and below
the last disc the level is unknown (0). Where several discs share a slice the lowest owns it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base.errors import CordriftError

Floats = NDArray[np.float64]
#: Discs 1 to 25 lie on top of C1 to S1. Larger labels mark other landmarks (such as 49, 50: brain stem) and are left.
LAST_DISC = 25
UNKNOWN = 0
#: First vertebra of each region, from below.
_REGIONS = ((25, "S"), (20, "L"), (8, "T"), (1, "C"))
_NAME = re.compile(r"([CTLS])(\d{1,2})", re.IGNORECASE)


@dataclass(frozen=True)
class Discs:
    """Height of each disc, ``slices[number]``, in slices of the mask; numbers ascend, heights never rise.

    A label on the mask's grid has a whole number; one from another grid, or the border between two levels of a map,
    lies between slices, and may lie outside the volume.
    """

    slices: dict[int, float]

    @property
    def shared(self) -> set[int]:
        """Slices that hold more than one disc."""
        held = Counter(round(height) for height in self.slices.values())
        return {index for index, count in held.items() if count > 1}


def level_name(vertebra: int) -> str:
    """Name of a vertebra: 2 is C2, 8 is T1, 20 is L1, 25 is S1."""
    for first, letter in _REGIONS:
        if vertebra >= first:
            return f"{letter}{vertebra - first + 1}"
    raise CordriftError(f"a vertebra's number must be 1 or more, not {vertebra}.")


def range_name(levels: list[int]) -> str:
    """Name of the range from the first to the last of ascending ``levels``: [2, 3] is C2-C3, [2] is C2.

    Raises
    ------
    CordriftError
        No level, or levels that do not follow each other.
    """
    if not levels or levels != list(range(levels[0], levels[0] + len(levels))):
        raise CordriftError(f"measure.levels must be ascending vertebrae without a gap such as [2, 3], not {levels}.")
    first, last = level_name(levels[0]), level_name(levels[-1])
    return first if len(levels) == 1 else f"{first}-{last}"


def parse_range(text: str) -> list[int]:
    """Vertebrae of a range as people write it: C2-C3 is [2, 3], C7-T1 is [7, 8], C4 is [4].

    Raises
    ------
    CordriftError
        No such vertebra, or a range that goes up.
    """
    ends = [_vertebra(part.strip(), text) for part in text.split("-")]
    if len(ends) > 2 or ends[0] > ends[-1]:
        raise CordriftError(f"levels must be one vertebra or two from above to below such as C2-C3, not {text!r}.")
    return list(range(ends[0], ends[-1] + 1))


def _vertebra(name: str, text: str) -> int:
    found = _NAME.fullmatch(name)
    if found:
        letter, number = found[1].upper(), int(found[2])
        starts = {letter: first for first, letter in _REGIONS}
        above = min((first for first in starts.values() if first > starts[letter]), default=LAST_DISC + 1)
        if number >= 1 and starts[letter] + number - 1 < above:
            return starts[letter] + number - 1
    raise CordriftError(f"levels must be vertebrae C1 to C7, T1 to T12, L1 to L5 or S1, such as C2-C3, not {text!r}.")


def order(slices: dict[int, float]) -> Discs:
    """Discs by ascending number.

    Raises
    ------
    CordriftError
        A higher number lies above a lower one.
    """
    ascending = dict(sorted(slices.items()))
    for (above, upper), (below, lower) in zip(list(ascending.items())[:-1], list(ascending.items())[1:], strict=True):
        if lower > upper:
            raise CordriftError(
                f"disc {below} (slice {lower:g}) lies above disc {above} (slice {upper:g}); discs must descend."
            )
    return Discs(ascending)


def assign(discs: Discs, n_slices: int) -> NDArray[np.int64]:
    """Vertebra of each of ``n_slices`` slices, (n_slices,); 0 where unknown.

    A vertebra is known where both its discs are: the numbers must follow each other.
    """
    level = np.full(n_slices, UNKNOWN, dtype=np.int64)
    centre = np.arange(n_slices)
    for vertebra, top in discs.slices.items():
        bottom = discs.slices.get(vertebra + 1)
        if bottom is not None:
            level[(centre <= top) & (centre > bottom)] = vertebra
    return level


def coverage(discs: Discs, first: int, last: int, *, index: NDArray[np.int64], cosine: Floats) -> float:
    """Part of the cord between the top of ``first`` and the bottom of ``last`` in which the mask shows cord, [0, 1].

    A ratio of lengths along the centreline; a slice stands for its full thickness (half of it above a disc at its
    centre), and what lies outside the volume counts as not covered. NaN where either disc is not known or both lie
    at one height: the length is unknown.

    Parameters
    ----------
    index, cosine : (n,) slices with cord, ascending, and the cosine of the centreline's angle there
    """
    top, bottom = discs.slices.get(first), discs.slices.get(last + 1)
    if top is None or bottom is None or top <= bottom or not len(index):
        return float("nan")
    every = np.arange(math.floor(bottom), math.ceil(top) + 1)
    inside = np.clip(np.minimum(every + 0.5, top) - np.maximum(every - 0.5, bottom), 0.0, None)
    # Where there is no cord to ask, the nearest slice's angle stands in.
    length = inside / cosine[np.abs(every[:, None] - index[None, :]).argmin(axis=1)]
    return float(length[np.isin(every, index)].sum() / length.sum())
