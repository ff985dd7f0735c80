"""The table of one mask: a row for each slice, for each level and for the monitored range.

Everything is measured in the frame of the image, which are its own axes in mm. Slices are planes of constant third
index of the canonical (RAS+) volume, so an oblique image is measured along its own slice normal. Only the axes AP and
RL of the diameters are the patient's world axes.

Quantities, with formula and unit (definitions: docs/measuring.md)
------------------------------------------------------------------
csa_mm2             px * py * sum(v) * cos(theta), theta the angle between centreline and slice normal; > 0
diameter_ap_mm      4 sqrt(u' S u), u the patient's front-back axis projected into the tilt-corrected section; > 0
diameter_rl_mm      the same along the right-left axis; > 0
ellipse_minor_mm    4 sqrt(smaller eigenvalue of S); > 0
ellipse_major_mm    4 sqrt(larger eigenvalue of S); > 0
compression_ratio   diameter_ap_mm / diameter_rl_mm; about 0.6 in the neck, smaller = flatter
eccentricity        sqrt(1 - minor^2 / major^2) of the moment ellipse; 0 (circle) to 1
orientation_deg     major axis against the right-left axis; (-90, 90], positive when its right end points forward
angle_ap_deg        atan(dy/dz) of the centreline; positive = leaning to the front going up
angle_rl_deg        atan(dx/dz); positive = leaning to the patient's right going up
length_mm           length of cord that a slice stands for, pz / cos(theta); a sum for levels and ranges

S are the second moments of the section, weighted by value; those of a soft mask are corrected for the averaging over
voxels (Sheppard 1897, doi:10.1112/plms/s1-29.1.353). What is undefined is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ...images.volumes import Volume
from ...tables.columns import AXIAL, MEASURES_COLUMNS, MEASURES_TEXT, METRICS
from ...tables.flags import join_flags
from ...tables.weighted import weighted_mean
from .csa import Sections, measure_sections
from .levels import NO_LEVEL, Discs, assign, on_grid, range_name, range_shares, read_discs
from .oddities import COLLAPSED
from .plausible import OFF_LINE, STEP, STRAY
from .settings import Measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A coverage that falls short of the least one by rounding alone is enough.
ROUNDING = 1e-9
#: A fault of the centreline at most so far from a range (mm) is named in the row of the range.
NEAR_MM = 15.0
LINE_FLAGS = {OFF_LINE, STEP, STRAY}
#: Columns of whole numbers, whose cells may be empty.
WHOLE_COLUMNS = ("slice", "level", "n_slices")


def measure_volume(mask: Volume, discs: Volume | Discs | None, params: Measure) -> pd.DataFrame:
    """Measure one mask and return rows of scope ``slice``, then ``level``, then one of scope ``range``.

    Of the identity columns only ``scope`` and ``kind`` (binary or soft) are filled. A mask without cord has only the
    range row, with NaN and the flag ``empty_mask``. Without discs the range is NaN and flagged ``no_levels``. A level
    or range is measured when its coverage is at least ``params.coverage``; otherwise it is NaN and flagged
    ``level_not_covered``.

    C2 has two slices of 100 mm2, and C3 below it has two slices of 80 mm2, so the mean of C2 and C3 is 90 mm2. The
    discs lie between slices:

    >>> mask = np.zeros((12, 12, 6), np.float32)
    >>> mask[1:11, 1:11, 3:5] = 1
    >>> mask[2:10, 1:11, 1:3] = 1
    >>> discs = Discs({2: 4.5, 3: 2.5, 4: 0.5})
    >>> table = measure_volume(Volume(mask, np.eye(4)), discs, Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0))
    >>> table[table["scope"] == "level"]["csa_mm2"].tolist()
    [100.0, 80.0]
    >>> table[table["scope"] == "range"]["csa_mm2"].tolist()
    [90.0]

    Parameters
    ----------
    mask : values in [0, 1]
    discs : heights of the discs, or a volume of single-voxel labels on the mask's grid, or None
    params : parameters of the ruler

    Raises
    ------
    ImageError
        The mask cannot be measured, the labels contradict each other, or the two grids differ.
    """
    sections = measure_sections(mask, stiffness_mm=params.stiffness_mm)
    if isinstance(discs, Volume):
        on_grid(discs, mask, "disc labels")
        discs = read_discs(discs)
    return tabulate(sections, discs, params, mask.data.shape[2])


def tabulate(sections: Sections, discs: Discs | None, params: Measure, n_slices: int) -> pd.DataFrame:
    """Return the rows of the measured sections of a mask, as :func:`measure_volume` describes them.

    Parameters
    ----------
    sections : measures of the slices with cord
    discs : heights of the discs, or None
    params : parameters of the ruler
    n_slices : number of slices of the whole mask
    """
    name = range_name(params.levels)
    found = Discs({}) if discs is None else discs
    level = assign(found, n_slices)
    shares = range_shares(found, params.levels[0], params.levels[-1], index=sections.index, cosine=sections.line.cosine)
    rows = _slice_rows(sections, level, found, shares)
    measured = [*([n] for n in sorted(set(level.tolist()) - {NO_LEVEL})), params.levels]
    for number, levels in enumerate(measured):
        row = _aggregate(sections, levels, found, params.coverage)
        is_range = number == len(measured) - 1
        row |= {"scope": "range", "levels": name} if is_range else {"scope": "level", "level": levels[0]}
        if is_range and discs is None:
            row["flags"] = "no_levels"
        if is_range and not len(sections.index):
            row["flags"] = "empty_mask"
        if is_range or len(sections.index):
            rows.append(row)
    return as_table([row | {"kind": sections.kind} for row in rows])


def failed_row(levels: list[int]) -> pd.DataFrame:
    """Return the range row of a mask that could not be made: NaN and flagged ``failed``, never a CSA of 0."""
    return as_table([{"scope": "range", "levels": range_name(levels), "flags": "failed"}])


def as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table with all columns of measures.csv. The type of a column never depends on missing values."""
    columns: dict[str, Any] = {}
    for name in MEASURES_COLUMNS:
        cells = [row.get(name) for row in rows]
        if name in MEASURES_TEXT:
            columns[name] = pd.array(["" if cell is None else str(cell) for cell in cells], dtype=object)
        elif name in WHOLE_COLUMNS:
            columns[name] = pd.array(cells, dtype="Int64")
        else:
            columns[name] = np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    return pd.DataFrame(columns)


def _slice_rows(sections: Sections, level: Ints, discs: Discs, shares: Floats) -> list[dict[str, Any]]:
    rows = []
    for k, index in enumerate(sections.index.tolist()):
        flags = sections.flags[k] | ({"discs_share_slice"} if index in discs.shared else set())
        values = {name: float(metric[k]) for name, metric in sections.metrics.items()}
        known = int(level[index]) if level[index] != NO_LEVEL else None
        where = dict(zip(("x_mm", "y_mm", "z_mm"), sections.world_mm[k].tolist(), strict=True))
        row = {"scope": "slice", "slice": index, "level": known, "range_share": float(shares[k]), **where}
        rows.append(row | values | {"flags": join_flags(flags)})
    return rows


def _aggregate(sections: Sections, levels: list[int], discs: Discs, least: float) -> dict[str, Any]:
    """Return the mean over the slices of the levels, weighted by length, and the unweighted SD of CSA (ddof 1).

    A slice weighs as much as its part that lies between the discs of the levels. A collapsed slice is no measurement of
    the cord: it has no weight, and its part of the range is not covered.
    """
    first, last = levels[0], levels[-1]
    shares = range_shares(discs, first, last, index=sections.index, cosine=sections.line.cosine)
    collapsed = np.array([COLLAPSED in flags for flags in sections.flags], dtype=bool)
    touched = shares > 0.0  # False where it is NaN
    member = touched & ~collapsed
    covered = float(shares[member].sum()) if len(shares) and np.isfinite(shares).all() else float("nan")
    row: dict[str, Any] = {"n_slices": int(member.sum()), "coverage": covered}
    flags: set[str] = set().union(*(f for f, inside in zip(sections.flags, touched, strict=True) if inside))
    flags |= _line_flags(sections, touched)
    top, bottom = discs.slices.get(first), discs.slices.get(last + 1)
    if top is not None and bottom is not None and any(bottom - 0.5 <= shared <= top + 0.5 for shared in discs.shared):
        flags.add("discs_share_slice")
    if not member.any() or not covered >= least - ROUNDING:
        return row | {"flags": join_flags(flags | {"level_not_covered"})}
    weights = shares[member]
    for name in METRICS:
        if name in sections.metrics:
            row[name] = weighted_mean(sections.metrics[name][member], weights, axial=name in AXIAL)
    csa = sections.metrics["csa_mm2"][member]
    row["csa_sd_mm2"] = float(np.std(csa, ddof=1)) if len(csa) > 1 else float("nan")
    # Half a slice inside the range stands for half of the slice's length.
    row["length_mm"] = float(
        (sections.metrics["length_mm"][member] * _inside(discs, levels, sections.index[member])).sum()
    )
    row["flags"] = join_flags(flags)
    return row


def _line_flags(sections: Sections, inside: NDArray[np.bool_]) -> set[str]:
    """Return what disturbs the centreline in the slices inside or within ``NEAR_MM`` of one of them."""
    odd = [k for k, flags in enumerate(sections.flags) if flags & LINE_FLAGS]
    places = sections.world_mm[inside]
    near = [k for k in odd if len(places) and cdist(places, sections.world_mm[[k]]).min() <= NEAR_MM]
    return set().union(*(sections.flags[k] & LINE_FLAGS for k in near))


def _inside(discs: Discs, levels: list[int], index: Ints) -> Floats:
    """Return which part of each slice lies between the outer discs of the levels, in [0, 1]."""
    top, bottom = discs.slices[levels[0]], discs.slices[levels[-1] + 1]
    return np.asarray(np.clip(np.minimum(index + 0.5, top) - np.maximum(index - 0.5, bottom), 0.0, 1.0))
