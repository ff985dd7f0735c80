"""Oddities of the slices of a mask: several components, holes, contact with the border of the image, gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .mask import Cord

Floats = NDArray[np.float64]
#: Flag of a slice whose area is a crumb beside that of its neighbours: no measurement of the cord.
COLLAPSED = "collapsed"
#: Flag of a slice whose area differs from that of its neighbours more than a cord's does.
AREA_JUMP = "area_jump"
#: Neighbours lie within this distance, or are the two next slices on each side where slices are far apart.
NEAR_MM, NEAR_SLICES = 15.0, 2
#: A slice with less of its neighbours' median area has collapsed. The narrowest cords of severe compression keep about
#: 40 % of the area a few slices away, so that none of them is taken for a crumb.
CRUMB = 1.0 / 3.0
#: Areas between these parts of the median are not unusual.
USUAL = (0.6, 1.6)


def oddities(cord: Cord, data: Floats, index: NDArray[np.int64]) -> list[set[str]]:
    """Return the names of the oddities of each slice.

    ``components`` and ``holes`` are those of the body: voxels with at least half of the slice's maximum. Pieces that
    touch at a corner are one component. ``border``: cord at the side of the image. ``gap``: a neighbouring slice has no
    cord, though there is cord beyond it. ``single_slice``: there is no other slice, so no direction is known.

    Parameters
    ----------
    cord : the whole mask
    data : (nx, ny, n) its slices with cord
    index : (n,) ascending numbers of these slices in the volume
    """
    flags: list[set[str]] = [set() for _ in index]
    body = data >= 0.5 * data.max(axis=(0, 1))
    for k in np.flatnonzero(_pieces(body, diagonal=True) > 1):
        flags[k].add("components")
    for k in np.flatnonzero(_holes(body) > 0):
        flags[k].add("holes")
    low = [cord.start[axis] == 0 for axis in (0, 1)]
    high = [cord.start[axis] + data.shape[axis] == cord.shape[axis] for axis in (0, 1)]
    edges = (low[0], data[0]), (high[0], data[-1]), (low[1], data[:, 0]), (high[1], data[:, -1])
    for touches, edge in edges:
        if touches:
            for k in np.flatnonzero(edge.any(axis=0)):
                flags[k].add("border")
    for k in np.flatnonzero(np.diff(index) > 1):
        flags[k].add("gap")
        flags[k + 1].add("gap")
    if len(index) == 1:
        flags[0].add("single_slice")
    return flags


def odd_areas(csa_mm2: Floats, z_mm: Floats) -> list[set[str]]:
    """Compare the area of each slice with the median of its neighbours, itself included.

    ``collapsed``: it is below a third. ``area_jump``: it lies outside the usual part, as a collapsed one does too.

    >>> [sorted(names) for names in odd_areas(np.array([80.0, 81.0, 3.0, 79.0, 80.0]), np.arange(5.0))]
    [[], [], ['area_jump', 'collapsed'], [], []]

    Parameters
    ----------
    csa_mm2 : (n,) areas of the slices
    z_mm : (n,) their heights, ascending
    """
    part = csa_mm2 / _median_nearby(csa_mm2, z_mm)
    flags: list[set[str]] = [set() for _ in part]
    for name, odd in ((COLLAPSED, part < CRUMB), (AREA_JUMP, (part < USUAL[0]) | (part > USUAL[1]))):
        for k in np.flatnonzero(odd):
            flags[k].add(name)
    return flags


def _median_nearby(values: Floats, z_mm: Floats) -> Floats:
    n = len(values)
    first = np.minimum(np.searchsorted(z_mm, z_mm - NEAR_MM), np.maximum(np.arange(n) - NEAR_SLICES, 0))
    last = np.maximum(
        np.searchsorted(z_mm, z_mm + NEAR_MM, side="right"), np.minimum(np.arange(n) + NEAR_SLICES + 1, n)
    )
    # One sort of all neighbourhoods; places after the last neighbour hold infinity and come last.
    held, place = last - first, first[:, None] + np.arange((last - first).max())
    near = np.sort(np.where(place < last[:, None], values[np.minimum(place, n - 1)], np.inf), axis=1)
    return np.asarray((near[np.arange(n), (held - 1) // 2] + near[np.arange(n), held // 2]) / 2.0)


def _pieces(body: NDArray[np.bool_], *, diagonal: bool) -> NDArray[np.int64]:
    """Return the number of connected pieces in each slice of a boolean (nx, ny, n) array; slices do not connect."""
    structure = np.zeros((3, 3, 3), dtype=bool)
    structure[:, :, 1] = True if diagonal else ndimage.generate_binary_structure(2, 1)
    labels, total = ndimage.label(body, structure)
    if total == 0:
        return np.zeros(body.shape[2], dtype=np.int64)
    first = np.array([piece[2].start for piece in ndimage.find_objects(labels)])
    return np.bincount(first, minlength=body.shape[2]).astype(np.int64)


def _holes(body: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of holes in each slice: pieces of background besides the one outside."""
    outside = np.pad(~body, ((1, 1), (1, 1), (0, 0)), constant_values=True)
    return _pieces(outside, diagonal=False) - 1
