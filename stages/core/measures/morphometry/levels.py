"""Vertebral levels: where the discs are, the vertebra of each slice, and the part of a range that a mask covers.

Volumes that show the vertebrae are single-voxel disc labels, or a map of levels. Both become heights of discs in slices
of the mask. They must lie on the mask's grid, unless they are brought to it in world space: a disc label as a point, a
map by its nearest voxels.

Disc N lies on top of vertebra N (disc 3 is C2/C3). The place of a disc is the height of its label, in slices. A slice
belongs to vertebra N when its centre lies at or below disc N and above disc N + 1. Above the first and below the last
disc the level is unknown (0). Where several discs lie in one slice, the slice belongs to the lowest of them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...base.errors import ImageError, SettingsError
from ...images.volumes import Volume, grid_difference

Floats = NDArray[np.float64]
#: Discs 1 to 25 lie on top of C1 to S1. Larger labels mark other landmarks (49 and 50: brain stem) and are ignored.
LAST_DISC = 25
NO_LEVEL = 0
#: Largest difference of a label from a whole number, for the rounding of stored floats.
NOT_WHOLE = 1e-3
#: First vertebra of each region, from below.
_REGIONS = ((25, "S"), (20, "L"), (8, "T"), (1, "C"))
_NAME = re.compile(r"([CTLS])(\d{1,2})", re.IGNORECASE)


@dataclass(frozen=True)
class Discs:
    """Height of each disc, ``slices[number]``, in slices of the mask; numbers ascend and heights never rise.

    The height of a label on the mask's grid is a whole number. A label from another grid, or the border between two
    levels of a map, lies between slices; it may also lie outside the volume.
    """

    slices: dict[int, float]

    @property
    def shared(self) -> set[int]:
        """Slices that hold more than one disc."""
        held = Counter(round(height) for height in self.slices.values())
        return {index for index, count in held.items() if count > 1}


def level_name(vertebra: int) -> str:
    """Return the name of a vertebra.

    >>> level_name(2), level_name(8), level_name(20), level_name(25)
    ('C2', 'T1', 'L1', 'S1')

    Raises
    ------
    SettingsError
        The number is below 1.
    """
    for first, letter in _REGIONS:
        if vertebra >= first:
            return f"{letter}{vertebra - first + 1}"
    raise SettingsError(f"a vertebra's number must be 1 or more, not {vertebra}.")


def range_name(levels: list[int]) -> str:
    """Return the name of the range from the first to the last of ascending ``levels``.

    >>> range_name([2, 3]), range_name([2])
    ('C2-C3', 'C2')

    Raises
    ------
    SettingsError
        There is no level, or the levels do not follow each other.
    """
    if not levels or levels != list(range(levels[0], levels[0] + len(levels))):
        raise SettingsError(f"measure.levels must be ascending vertebrae without a gap such as [2, 3], not {levels}.")
    first, last = level_name(levels[0]), level_name(levels[-1])
    return first if len(levels) == 1 else f"{first}-{last}"


def parse_range(text: str) -> list[int]:
    """Return the vertebrae of a range as people write it, by name or by number (T1 is 8), with ``-`` or ``:``.

    >>> parse_range("C2-C3"), parse_range("C7:T1"), parse_range("2:3"), parse_range("C4")
    ([2, 3], [7, 8], [2, 3], [4])

    Raises
    ------
    SettingsError
        There is no such vertebra, or the range goes upwards.
    """
    ends = [_vertebra(part.strip(), text) for part in re.split("[-:]", text)]
    if len(ends) > 2 or ends[0] > ends[-1]:
        raise SettingsError(
            f"levels must be one vertebra or two from above to below such as C2-C3 or 2:3, not {text!r}."
        )
    return list(range(ends[0], ends[-1] + 1))


def _vertebra(name: str, text: str) -> int:
    if name.isascii() and name.isdigit() and 1 <= int(name) <= LAST_DISC:
        return int(name)
    found = _NAME.fullmatch(name)
    if found:
        letter, number = found[1].upper(), int(found[2])
        starts = {letter: first for first, letter in _REGIONS}
        above = min((first for first in starts.values() if first > starts[letter]), default=LAST_DISC + 1)
        if number >= 1 and starts[letter] + number - 1 < above:
            return starts[letter] + number - 1
    raise SettingsError(
        f"levels must be vertebrae C1 to C7, T1 to T12, L1 to L5 or S1, such as C2-C3 or 2:3, not {text!r}."
    )


def order_discs(slices: dict[int, float]) -> Discs:
    """Return the discs in ascending order of their numbers.

    Raises
    ------
    ImageError
        A disc lies above one with a lower number.
    """
    ascending = dict(sorted(slices.items()))
    for (above, upper), (below, lower) in zip(list(ascending.items())[:-1], list(ascending.items())[1:], strict=True):
        if lower > upper:
            raise ImageError(
                f"disc {below} (slice {lower:g}) lies above disc {above} (slice {upper:g}); discs must descend."
            )
    return Discs(ascending)


def read_discs(labels: Volume, mask: Volume | None = None) -> Discs:
    """Find the discs in a volume of single-voxel labels.

    >>> labels = np.zeros((3, 3, 10), np.float32)
    >>> labels[1, 1, 8], labels[1, 1, 5] = 2, 3
    >>> read_discs(Volume(labels, np.eye(4))).slices
    {2: 8.0, 3: 5.0}

    Parameters
    ----------
    labels : 0, or the number of a disc
    mask : when given, heights are positions of the labels' voxel centres in the grid of this mask

    Raises
    ------
    ImageError
        A label is not a whole number or has several voxels, or a disc lies above one with a lower number.
    """
    # The same as argwhere, which takes several times as long where nearly every voxel is 0.
    where = np.column_stack(np.unravel_index(np.flatnonzero(labels.data != 0), labels.data.shape))
    values = _whole(labels.data[tuple(where.T)], "disc labels")
    heights = where[:, 2].astype(np.float64)
    if mask is not None:
        into = np.linalg.inv(mask.affine) @ labels.affine
        heights = (into @ np.column_stack([where, np.ones(len(where))]).T)[2]
    found = sorted((value, height) for value, height in zip(values.tolist(), heights.tolist(), strict=True))
    found = [(value, height) for value, height in found if 1 <= value <= LAST_DISC]
    count = Counter(value for value, _ in found)
    for value, voxels in count.items():
        if voxels > 1:
            held = [height for other, height in found if other == value]
            raise ImageError(
                f"disc {value} is labelled in {voxels} voxels (slices {held[0]:g} to {held[-1]:g}); expected one voxel "
                "for each disc. Labels that were dilated, or drawn as blobs, must be reduced to their centres (in the "
                "Spinal Cord Toolbox: sct_label_utils -cubic-to-point); a map of vertebral levels is given with "
                "--levels-map."
            )
    return order_discs(dict(found))


def read_map(levels: Volume, mask: Volume | None = None) -> Discs:
    """Find the discs between the levels of a map, in which each voxel of the cord holds the number of its vertebra.

    A slice has the level of most of its labelled voxels; of two equal levels it has the lower vertebra. A disc lies
    half a slice above the top slice of its vertebra, and one lies below the lowest level. A level that reaches the
    first or last slice of the volume may be cut off there, so that end of it is unknown.

    >>> levels = np.zeros((1, 1, 7), np.float32)
    >>> levels[0, 0] = [0, 3, 3, 2, 2, 2, 0]
    >>> read_map(Volume(levels, np.eye(4))).slices
    {2: 5.5, 3: 2.5, 4: 0.5}

    Parameters
    ----------
    levels : 0, or the number of a vertebra
    mask : when given, the map is brought to the grid of this mask by its nearest voxels

    Raises
    ------
    ImageError
        A label is not a whole number, or the levels do not descend.
    """
    data = levels.data if mask is None else _nearest(levels, mask)
    n_slices = data.shape[2]
    where = np.argwhere(data != 0)
    values = _whole(data[tuple(where.T)], "levels of a map")
    known = (values >= 1) & (values <= LAST_DISC)
    counts = np.zeros((n_slices, LAST_DISC + 1), dtype=np.int64)
    np.add.at(counts, (where[known, 2], values[known]), 1)
    # argmax takes the first of equal counts; in the reversed array this is the lower vertebra.
    level = np.where(counts.any(axis=1), LAST_DISC - counts[:, ::-1].argmax(axis=1), NO_LEVEL)
    slices: dict[int, float] = {}
    for vertebra in sorted(set(level.tolist()) - {NO_LEVEL}):
        held = np.flatnonzero(level == vertebra).tolist()
        below = level[: held[-1]]
        if (below[below != NO_LEVEL] < vertebra).any():
            raise ImageError(
                f"level {vertebra} of the map reaches slice {held[-1]}, above a slice of a level with a lower number; "
                f"levels must descend."
            )
        if held[-1] < n_slices - 1:
            slices[vertebra] = held[-1] + 0.5
        if held[0] > 0:
            slices[vertebra + 1] = held[0] - 0.5
    return order_discs(slices)


def on_grid(labels: Volume, mask: Volume, what: str) -> None:
    """Refuse labels that do not lie on the grid of the mask.

    Raises
    ------
    ImageError
        The grids differ; the message says what to do.
    """
    difference = grid_difference(mask, labels)
    if difference:
        raise ImageError(
            f"mask and {what} must lie on one grid, but {difference}; if both are of one session, without "
            f"movement between them, `cordrift measure --match-world` brings the {what} to the grid of the mask."
        )


def _whole(values: NDArray[np.float32], what: str) -> NDArray[np.int64]:
    rounded = np.round(values.astype(np.float64))
    if len(values) and float(np.abs(values - rounded).max()) > NOT_WHOLE:
        raise ImageError(f"{what} must be whole numbers; this volume was interpolated.")
    return rounded.astype(np.int64)


def _nearest(levels: Volume, mask: Volume) -> NDArray[np.float32]:
    """Return the values of the map on the grid of the mask; 0 outside the map."""
    into = np.linalg.inv(levels.affine) @ mask.affine
    return np.asarray(
        ndimage.affine_transform(
            levels.data, into[:3, :3], into[:3, 3], output_shape=mask.data.shape, order=0, mode="constant", cval=0.0
        ),
        dtype=np.float32,
    )


def assign(discs: Discs, n_slices: int) -> NDArray[np.int64]:
    """Return the vertebra of each of ``n_slices`` slices, (n_slices,); 0 where it is unknown.

    A vertebra is known where both of its discs are known. C2 lies between disc 2 and disc 3:

    >>> assign(Discs({2: 5.0, 3: 3.0, 4: 0.0}), 7).tolist()
    [0, 3, 3, 3, 2, 2, 0]
    """
    level = np.full(n_slices, NO_LEVEL, dtype=np.int64)
    centre = np.arange(n_slices)
    for vertebra, top in discs.slices.items():
        bottom = discs.slices.get(vertebra + 1)
        if bottom is not None:
            level[(centre <= top) & (centre > bottom)] = vertebra
    return level


def range_shares(discs: Discs, first: int, last: int, *, index: NDArray[np.int64], cosine: Floats) -> Floats:
    """Return for each slice which part it is of the cord from the top of ``first`` to the bottom of ``last``, (n,).

    It is a ratio of lengths along the centreline. A slice counts with its full thickness, or with the part of it that
    lies between the discs: a thick slice that reaches beyond a disc would otherwise pull the mean of the range out of
    the range. The sum is the coverage, in [0, 1]: cord without mask, and cord outside the volume, is not covered. All
    are NaN where one of the two discs is unknown or both lie at one height, because then the length is unknown.

    The vertebra lies between slices 6 and 2, and the mask reaches from slice 4 upwards, so that it lacks the part from
    2 to 3.5. Half of slice 6 lies above the vertebra:

    >>> range_shares(Discs({2: 6.0, 3: 2.0}), 2, 2, index=np.array([4, 5, 6]), cosine=np.ones(3)).tolist()
    [0.25, 0.25, 0.125]

    Parameters
    ----------
    discs : heights of the discs
    first, last : numbers of the first and the last vertebra of the range
    index : (n,) numbers of the slices with cord, ascending
    cosine : (n,) cosine of the angle of the centreline there, in (0, 1]
    """
    top, bottom = discs.slices.get(first), discs.slices.get(last + 1)
    if top is None or bottom is None or top <= bottom or not len(index):
        return np.full(len(index), np.nan)
    every = np.arange(math.floor(bottom), math.ceil(top) + 1)
    inside = np.clip(np.minimum(every + 0.5, top) - np.maximum(every - 0.5, bottom), 0.0, None)
    # Slices without cord have no angle of their own and get the angle of the nearest slice with cord.
    length = inside / cosine[np.abs(every[:, None] - index[None, :]).argmin(axis=1)]
    share = np.zeros(len(index))
    found = np.isin(index, every)
    share[found] = length[index[found] - every[0]] / length.sum()
    return share
