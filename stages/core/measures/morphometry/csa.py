"""Area and shape of each slice of a mask, in the section perpendicular to the centreline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...images.volumes import Volume
from .centreline import Centreline, fit_centreline
from .mask import Cord, find_cord
from .oddities import odd_areas, oddities
from .plausible import stray_voxels, weigh
from .solidity import solidity

Floats = NDArray[np.float64]
#: Factor on the stiffness for a binary mask, whose centroids jump by parts of a voxel. With 8 mm instead of 4 mm the
#: worst slice, at the end of a straight cord, has an error of 0.7 % instead of more than 1 %.
BINARY_STIFFNESS = 2.0
#: Slices that lie farther apart than this are rarely as thick as they are apart: gaps lie between them.
THICKEST_MM = 6.0


@dataclass(frozen=True)
class Sections:
    """Measures of the n slices that hold cord, in ascending order of the slices; arrays are (n,) unless it is said.

    Attributes
    ----------
    kind : ``binary`` or ``soft``
    index : numbers of the slices in the volume
    world_mm : (n, 3) centre of the cord in each slice in world space, on the centreline
    metrics : values by name; the names are columns of the table
    line : centreline at these slices
    flags : for each slice, the names of its oddities
    """

    kind: str
    index: NDArray[np.int64]
    world_mm: Floats
    metrics: dict[str, Floats]
    line: Centreline
    flags: list[set[str]]


def measure_sections(mask: Volume, *, stiffness_mm: float) -> Sections:
    """Measure every slice that holds cord; an empty mask gives no slices.

    A square of 10 x 10 voxels of 1 mm has an area of 100 mm2 in each of its 3 slices:

    >>> square = np.zeros((12, 12, 3), np.float32)
    >>> square[1:11, 1:11, :] = 1
    >>> metrics = measure_sections(Volume(square, np.eye(4)), stiffness_mm=4.0).metrics
    >>> metrics["csa_mm2"].tolist()
    [100.0, 100.0, 100.0]

    Parameters
    ----------
    mask : values in [0, 1]
    stiffness_mm : stiffness of the centreline of a soft mask, > 0; a binary mask gets twice as much

    Raises
    ------
    ImageError
        As :func:`.mask.find_cord`.
    """
    cord = find_cord(mask)
    kind = "binary" if cord.binary else "soft"
    area = cord.data.sum(axis=(0, 1))
    present = area > 0.0
    index = (np.flatnonzero(present) + cord.start[2]).astype(np.int64)
    if not len(index):
        none = np.zeros(0)
        return Sections(kind, index, np.zeros((0, 3)), {}, Centreline(none, none, none, none), [])
    data, area = cord.data[:, :, present], area[present]
    px, py, pz = cord.spacing_mm
    x = np.arange(data.shape[0], dtype=np.float64) * px + cord.start[0] * px
    y = np.arange(data.shape[1], dtype=np.float64) * py + cord.start[1] * py
    centroids, moments = _moments(data, area, x, y)
    z = index.astype(np.float64) * pz
    on_cord = _without_stray(cord, present)
    cord_area = area if on_cord is None else on_cord.sum(axis=(0, 1))
    if on_cord is not None:
        held = cord_area > 0.0
        centroids = np.full_like(centroids, np.nan)
        centroids[held] = _moments(on_cord[:, :, held], cord_area[held], x, y)[0]
    fit = weigh(cord_area, centroids, z, slice_mm=pz)
    stiffness_mm *= BINARY_STIFFNESS if cord.binary else 1.0
    level = np.nan_to_num(centroids) - fit.offsets_mm
    line = fit_centreline(z, level, fit.weights, slice_mm=pz, stiffness_mm=stiffness_mm).shifted(fit.offsets_mm)
    if not cord.binary:
        moments = _sheppard(moments, line, cord.spacing_mm)
    metrics = {"csa_mm2": px * py * area * line.cosine, **_shape(moments, line, cord.frame)}
    metrics["solidity"] = solidity(data)
    metrics["angle_ap_deg"] = np.degrees(np.arctan(line.slope_y))
    metrics["angle_rl_deg"] = np.degrees(np.arctan(line.slope_x))
    metrics["length_mm"] = pz / line.cosine
    world = mask.affine @ np.stack([line.x_mm / px, line.y_mm / py, index, np.ones(len(index))])
    found = oddities(cord, data, index), fit.flags, odd_areas(metrics["csa_mm2"], z)
    flags = [set().union(*of_slice) for of_slice in zip(*found, strict=True)]
    if not cord.binary and pz > THICKEST_MM:
        for of_slice in flags:
            of_slice.add("thickness_unknown")
    return Sections(kind, index, world[:3].T, metrics, line, flags)


def _without_stray(cord: Cord, present: NDArray[np.bool_]) -> Floats | None:
    """Return the slices with cord without the voxels of stray pieces; None where there are none."""
    away = stray_voxels(cord)
    return None if away is None else np.where(away, 0.0, cord.data)[:, :, present]


def _moments(data: Floats, area: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return centroids (n, 2), mm, and central second moments (n, 2, 2), mm2, in the slice, weighted by value."""
    along_x, along_y = data.sum(axis=1) / area, data.sum(axis=0) / area
    cx, cy = x @ along_x, y @ along_y
    moments = np.empty((len(area), 2, 2))
    moments[:, 0, 0] = x**2 @ along_x - cx**2
    moments[:, 1, 1] = y**2 @ along_y - cy**2
    cross = np.einsum("ijk,i,j->k", data, x, y, optimize=True) / area - cx * cy
    moments[:, 0, 1] = moments[:, 1, 0] = cross
    return np.stack([cx, cy], axis=1), moments


def _sheppard(moments: Floats, line: Centreline, spacing_mm: tuple[float, float, float]) -> Floats:
    """Subtract from the moments of a soft mask what the averaging over voxels added to them.

    In the plane this is p^2 / 12 for each axis. Through the slice a tilted cord is smeared along its own slope, which
    adds (pz slope)^2 / 12. NIfTI knows the distance of slices and not their thickness. Above ``THICKEST_MM`` gaps may
    lie between slices, the term could be ten times too large, and it is left out. A binary mask samples the cord at
    voxel centres and averages nothing, so it needs no correction.
    """
    px, py, pz = spacing_mm
    slope = np.nan_to_num(np.stack([line.slope_x, line.slope_y], axis=1))
    through = pz if pz <= THICKEST_MM else 0.0
    smear = np.einsum("ki,kj->kij", slope, slope) * through**2 + np.diag([px**2, py**2])
    return np.asarray(moments - smear / 12.0)


def _shape(moments: Floats, line: Centreline, frame: Floats) -> dict[str, Floats]:
    """Return diameters and moment ellipse in the section perpendicular to the centreline."""
    slope = np.nan_to_num(np.stack([line.slope_x, line.slope_y, np.ones(len(moments))], axis=1))
    tangent = slope * line.cosine[:, None]
    # The slice cuts the cord obliquely. Moving its points along the cord into the perpendicular plane is linear.
    project = np.eye(3) - np.einsum("ki,kj->kij", tangent, tangent)
    section = project[:, :, :2] @ moments @ project[:, :, :2].transpose(0, 2, 1)
    rl, ap = (_unit(project @ (frame.T @ axis)) for axis in np.eye(3)[:2])
    up = np.cross(tangent, rl)  # lies in the section, perpendicular to rl, and points to the front
    basis = np.stack([rl, up], axis=1)
    flat = basis @ section @ basis.transpose(0, 2, 1)
    middle, half = (flat[:, 0, 0] + flat[:, 1, 1]) / 2, (flat[:, 0, 0] - flat[:, 1, 1]) / 2
    radius = np.hypot(half, flat[:, 0, 1])
    major, minor = _diameter(middle + radius), _diameter(middle - radius)
    diameter_ap = _diameter(np.einsum("ki,kij,kj->k", ap, section, ap))
    diameter_rl = _diameter(flat[:, 0, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(diameter_rl > 0, diameter_ap / diameter_rl, np.nan)
        eccentricity = np.sqrt(1.0 - (minor / major) ** 2)
    orientation = np.degrees(0.5 * np.arctan2(flat[:, 0, 1], half))
    return {
        "diameter_ap_mm": diameter_ap,
        "diameter_rl_mm": diameter_rl,
        "ellipse_minor_mm": minor,
        "ellipse_major_mm": major,
        "compression_ratio": ratio,
        "eccentricity": eccentricity,
        "orientation_deg": np.where(radius > 1e-9 * middle, orientation, np.nan),
    }


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _diameter(variance: Floats) -> Floats:
    """Return 4 sigma; NaN where a slice with very little cord has no variance left after the correction."""
    return np.asarray(4.0 * np.sqrt(np.where(variance > 0.0, variance, np.nan)))
