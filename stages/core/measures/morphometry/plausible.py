"""Which slices of a mask may bend the centreline: pieces beside the cord, cut ends, outliers and steps must not.

The centreline follows the centroids of the slices, and a few wrong ones turn it. They are found before the fit: their
weight is 0, the curve passes them by, and their slices are flagged. A mask without them gets the weights that its areas
give, and so the line of a fit without this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .mask import Cord

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
#: Flags of slices that do not bend the line: only pieces apart from the cord; a centroid away from its neighbours'.
STRAY, OFF_LINE = "stray", "off_line"
#: Flag of the slices on both sides of a step: the parts of the mask are shifted against each other.
STEP = "step"
#: A piece continues the cord when it lies at most so far aside (mm), and one mm more for each mm of the gap between.
ASIDE_MM = 3.0
#: A piece in slices of the cord belongs to it when its centroid is at most so far from the cord's (mm).
BESIDE_MM = 6.0
#: A piece with this part of the largest one, in other slices, is a part of the cord wherever it lies.
LARGE_SHARE = 0.1
#: So many pieces are looked at, the largest first; further ones are crumbs.
MOST_PIECES = 100
#: End slices with less than this part of their neighbours' area are only partly filled: the mask was cut there.
FULL = 0.9
#: At each end, neighbours lie within this length (mm), and no more than this length is left out.
END_MM = 15.0
#: A centroid at this distance (mm) from the line of its neighbours is not on the cord.
OFF_MM = 3.0
#: A shift from one slice to the next (mm) that is no bend of a cord, where slices are closer than this.
STEP_MM = 1.5
#: On both sides of a step the area is the same, but for this part.
SAME_AREA = 0.8
#: A cord may turn by so much (mm aside for each mm along) from the middle of those slices to the one beside them.
TURN = 0.2
#: Slices on each side that tell the direction of the cord.
SIDE = 4


@dataclass(frozen=True)
class Plausible:
    """How the n slices enter the fit of the centreline.

    Attributes
    ----------
    weights : (n,) in [0, 1]; 0 for a slice that must not bend the line
    offsets_mm : (n, 2) shift of each slice in x and y against the first one through steps; 0 without steps
    flags : for each slice, ``stray``, ``off_line`` or ``step``
    """

    weights: Floats
    offsets_mm: Floats
    flags: list[set[str]]


def stray_voxels(cord: Cord) -> Bools | None:
    """Return which voxels of a mask belong to pieces apart from the cord; None where there are none.

    A piece belongs to the cord when it continues it, is as large as a part of it, or lies within its outline.

    Parameters
    ----------
    cord : the mask, cropped
    """
    top = cord.data.max(axis=(0, 1))
    body = (cord.data >= 0.5 * top) & (cord.data > 0.0)
    labels, count = ndimage.label(body, structure=np.ones((3, 3, 3)))
    if count < 2:
        return None
    sizes = np.bincount(labels.ravel(), weights=cord.data.ravel())[1:]
    order = np.argsort(-sizes, kind="stable")[:MOST_PIECES]
    pieces = {int(k): _centroids(labels == k + 1, cord) for k in order}
    chain = dict(pieces[int(order[0])])
    largest, waiting, kept = float(sizes[order[0]]), [int(k) for k in order[1:]], {int(order[0])}
    while waiting:
        joined = [k for k in waiting if _belongs(pieces[k], chain, cord, large=sizes[k] >= LARGE_SHARE * largest)]
        if not joined:
            break
        for k in joined:
            chain = pieces[k] | chain
        kept.update(joined)
        waiting = [k for k in waiting if k not in joined]
    mine = np.isin(labels, [k + 1 for k in kept])
    away = (labels > 0) & ~mine
    if not away.any():
        return None
    if not cord.binary:  # the soft border of a stray piece goes with it
        plane = np.ones((5, 5, 1), dtype=bool)
        away = ndimage.binary_dilation(away, structure=plane) & ~mine
    return np.asarray(away)


def _centroids(piece: Bools, cord: Cord) -> dict[int, Floats]:
    """Return the centroid (x, y in mm) of a piece in each of its slices."""
    x, y, z = np.nonzero(piece)
    held = np.bincount(z)
    return {
        int(k): np.array([x[z == k].mean() * cord.spacing_mm[0], y[z == k].mean() * cord.spacing_mm[1]])
        for k in np.flatnonzero(held)
    }


def _belongs(piece: dict[int, Floats], chain: dict[int, Floats], cord: Cord, *, large: bool) -> bool:
    common = sorted(piece.keys() & chain.keys())
    if common:
        apart = [float(np.linalg.norm(piece[k] - chain[k])) for k in common]
        return float(np.median(apart)) <= BESIDE_MM
    if large:
        return True
    held = np.array(sorted(chain))
    mine = np.array(sorted(piece))
    distance = np.abs(held[:, None] - mine[None, :])
    a, b = np.unravel_index(int(distance.argmin()), distance.shape)
    gap_mm = float(distance[a, b]) * cord.spacing_mm[2]
    return float(np.linalg.norm(chain[int(held[a])] - piece[int(mine[b])])) <= ASIDE_MM + gap_mm


def weigh(area: Floats, centroids_mm: Floats, z_mm: Floats, *, slice_mm: float) -> Plausible:
    """Return how slices enter the fit of the centreline.

    Parameters
    ----------
    area : (n,) area of the cord in each slice, without stray pieces, in any unit; 0 where a slice has only those
    centroids_mm : (n, 2) its centroid; NaN where the area is 0
    z_mm : (n,) ascending heights of the slices
    slice_mm : distance of neighbouring slices
    """
    flags: list[set[str]] = [set() for _ in area]
    for k in np.flatnonzero(area <= 0.0):
        flags[k].add(STRAY)
    # A slice with very little cord says little about the position of the cord.
    weights = np.minimum(1.0, area / np.median(area[area > 0.0]))
    _leave_cut_ends(weights, area, z_mm)
    used = np.flatnonzero(weights > 0.0)
    for k in used[_outliers(centroids_mm[used], z_mm[used])].tolist():
        weights[k] = 0.0
        flags[k].add(OFF_LINE)
    offsets = np.zeros((len(area), 2))
    used = np.flatnonzero(weights > 0.0)
    for place, shift in _steps(centroids_mm[used], z_mm[used], area[used], slice_mm):
        offsets[used[place + 1] :] += shift
        flags[used[place]].add(STEP)
        flags[used[place + 1]].add(STEP)
    return Plausible(weights, offsets, flags)


def _leave_cut_ends(weights: Floats, area: Floats, z_mm: Floats) -> None:
    """Set the weight of partly filled end slices to 0, unless there is too little cord behind them to tell.

    A mask that is cut square to a leaning cord ends in slices that hold only its front or its back.
    """
    for inward in (np.arange(len(area)), np.arange(len(area))[::-1]):
        held = inward[weights[inward] > 0.0]
        for number, k in enumerate(held.tolist()):
            behind = held[number + 1 :]
            near = behind[np.abs(z_mm[behind] - z_mm[k]) <= END_MM]
            too_far = abs(z_mm[k] - z_mm[held[0]]) > END_MM
            if len(near) < SIDE or too_far or area[k] >= FULL * np.median(area[near]):
                break
            weights[k] = 0.0


@dataclass(frozen=True)
class _Directions:
    """Robust lines through ``SIDE`` slices in a row; row i is the line of the slices i to i + SIDE - 1.

    ``slope`` and ``middle`` are (n, 2), ``z_mm`` is the height of the middle, and ``rough_mm`` the largest distance of
    one of the slices from the line. They are medians, so that one slice cannot turn the line.
    """

    slope: Floats
    middle: Floats
    z_mm: Floats
    rough_mm: Floats

    def at(self, rows: NDArray[np.int64], z_mm: Floats) -> Floats:
        """Return the points (n, 2) of some of the lines, each at a height."""
        return np.asarray(self.middle[rows] + (z_mm - self.z_mm[rows])[:, None] * self.slope[rows])


def _directions(centroids_mm: Floats, z_mm: Floats) -> _Directions:
    place = np.lib.stride_tricks.sliding_window_view(centroids_mm, SIDE, axis=0)
    height = np.lib.stride_tricks.sliding_window_view(z_mm, SIDE)
    first, second = np.triu_indices(SIDE, 1)
    rise = (place[..., second] - place[..., first]) / (height[:, second] - height[:, first])[:, None, :]
    slope, middle, z = np.median(rise, axis=2), np.median(place, axis=2), np.median(height, axis=1)
    line = middle[..., None] + slope[..., None] * (height - z[:, None])[:, None, :]
    return _Directions(slope, middle, z, np.abs(place - line).max(axis=(1, 2)))


def _outliers(centroids_mm: Floats, z_mm: Floats) -> NDArray[np.int64]:
    """Return the slices whose centroid lies away from the lines through the slices before and after it.

    A slice of a stack that is shifted as a whole agrees with one of the sides, and is kept. At an end there is
    one side only, and it must be straight.
    """
    n = len(z_mm)
    if n <= SIDE:
        return np.zeros(0, dtype=np.int64)
    lines, k = _directions(centroids_mm, z_mm), np.arange(n)
    away = np.full((2, n), np.inf)
    for side, rows in enumerate((k - SIDE, k + 1)):
        known = (rows >= 0) & (rows <= n - SIDE)
        straight = known.copy()
        straight[known] = lines.rough_mm[rows[known]] <= STEP_MM
        alone = (k < SIDE) | (k >= n - SIDE)
        use = np.where(alone, straight, known)
        line = lines.at(rows[use], z_mm[use])
        slack = TURN * np.abs(z_mm[use] - lines.z_mm[rows[use]])
        away[side, use] = np.linalg.norm(centroids_mm[use] - line, axis=1) - slack
    nearest = away.min(axis=0)
    return np.flatnonzero(np.isfinite(nearest) & (nearest > OFF_MM))


def _steps(centroids_mm: Floats, z_mm: Floats, area: Floats, slice_mm: float) -> list[tuple[int, Floats]]:
    """Return the steps of a line: the number of the slice below each, and its shift in x and y, mm.

    A step is a shift between two slices that the directions on both sides do not explain. Where slices lie far apart,
    a bend can do as much, so that the limit grows with their distance. Where the area changes too, the cord is pressed
    from one side, and its centre does move.
    """
    n = len(z_mm)
    if n < 2 * SIDE:
        return []
    lines, k = _directions(centroids_mm, z_mm), np.arange(SIDE - 1, n - SIDE)
    below, above = k - SIDE + 1, k + 1
    border = (z_mm[k] + z_mm[k + 1]) / 2.0
    shift = lines.at(above, border) - lines.at(below, border)
    rise = (lines.slope[below] + lines.slope[above]) / 2.0 * (z_mm[k + 1] - z_mm[k])[:, None]
    jump = centroids_mm[k + 1] - centroids_mm[k] - rise
    size = np.minimum(np.linalg.norm(shift, axis=1), np.linalg.norm(jump, axis=1))
    middle = np.median(np.lib.stride_tricks.sliding_window_view(area, SIDE), axis=1)
    same = np.minimum(middle[below], middle[above]) >= SAME_AREA * np.maximum(middle[below], middle[above])
    return [(int(k[i]), shift[i]) for i in np.flatnonzero(same & (size > max(STEP_MM, slice_mm)))]
