"""Area and shape of each slice of a mask, in the section perpendicular to the centreline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stages.core.errors import CordriftError
from stages.core.morphometry.centreline import Centreline, fit_centreline
from stages.core.volumes import Volume

Floats = NDArray[np.float64]
#: Values below this are left over from resampling, not cord.
DUST = 1e-3
#: Values may leave [0, 1] by this much (rounding of stored floats).
RANGE_TOLERANCE = 1e-3
#: Largest cosine between two voxel axes of an image that still counts as free of shear.
SHEAR_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sections:
    """Measures of the n slices that hold cord, in ascending slice order; every array is (n,).

    ``flags`` holds for each slice the names of what is unusual about it. The names of the metrics are those of the
    columns of the table. ``line`` is the centreline at these slices.
    """

    index: NDArray[np.int64]
    z_mm: Floats
    metrics: dict[str, Floats]
    line: Centreline
    flags: list[set[str]]


def prepare_mask(mask: Volume) -> Floats:
    """Return the mask's values as float64 (nx, ny, nz) without dust; refuse what is not a mask.

    Raises
    ------
    CordriftError
        Values outside [0, 1], or voxel axes that are not perpendicular.
    """
    low, high = float(mask.data.min(initial=0.0)), float(mask.data.max(initial=0.0))
    if low < -RANGE_TOLERANCE or high > 1.0 + RANGE_TOLERANCE:
        raise CordriftError(f"a mask's values must lie in [0, 1], not in [{low:g}, {high:g}].")
    axes = _frame(mask)
    if float(np.abs(axes.T @ axes - np.eye(3)).max()) > SHEAR_TOLERANCE:
        raise CordriftError("the mask's voxel axes are not perpendicular (sheared affine); resample it first.")
    data = np.clip(mask.data.astype(np.float64), 0.0, 1.0)
    data[data < DUST] = 0.0
    return data


def measure_sections(mask: Volume, *, stiffness_mm: float) -> Sections:
    """Measure every slice that holds cord; an empty mask gives no slices.

    Raises
    ------
    CordriftError
        As :func:`prepare_mask`.
    """
    full = prepare_mask(mask)
    binary = bool(np.isin(full, (0.0, 1.0)).all())
    start, data = _crop(full)
    px, py, pz = mask.spacing_mm
    area = data.sum(axis=(0, 1))
    present = area > 0.0
    index = np.flatnonzero(present) + start[2]
    if not len(index):
        none = np.zeros(0)
        return Sections(index.astype(np.int64), none, {}, Centreline(none, none, none, none), [])
    data, area = data[:, :, present], area[present]
    x = np.asarray((np.arange(data.shape[0]) + start[0]) * px, dtype=np.float64)
    y = np.asarray((np.arange(data.shape[1]) + start[1]) * py, dtype=np.float64)
    centroids, moments = _moments(data, area, x, y)
    # A slice with a crumb of cord says little about where the cord runs.
    weights = np.minimum(1.0, area / np.median(area))
    line = fit_centreline(
        np.asarray(index * pz, dtype=np.float64), centroids, weights, slice_mm=pz, stiffness_mm=stiffness_mm
    )
    if not binary:
        moments = _sheppard(moments, line, mask.spacing_mm)
    metrics = {"csa_mm2": px * py * area * line.cosine, **_shape(moments, line, _frame(mask))}
    metrics["angle_ap_deg"] = np.degrees(np.arctan(line.slope_y))
    metrics["angle_rl_deg"] = np.degrees(np.arctan(line.slope_x))
    metrics["length_mm"] = pz / line.cosine
    voxel = np.stack([line.x_mm / px, line.y_mm / py, index, np.ones(len(index))])
    world = mask.affine @ voxel
    return Sections(index.astype(np.int64), world[2], metrics, line, _flags(data, index, start, full.shape))


def _frame(mask: Volume) -> Floats:
    """Unit vectors of the voxel axes in world space, as columns."""
    return np.asarray(mask.affine[:3, :3] / np.asarray(mask.spacing_mm))


def _crop(data: Floats) -> tuple[tuple[int, int, int], Floats]:
    start, slices = [0, 0, 0], []
    for axis in range(3):
        where = np.flatnonzero(data.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(where):
            return (0, 0, 0), data[:0, :0, :0]
        start[axis] = int(where[0])
        slices.append(slice(int(where[0]), int(where[-1]) + 1))
    return (start[0], start[1], start[2]), data[tuple(slices)]


def _moments(data: Floats, area: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Centroids (n, 2) and central second moments (n, 2, 2) in the slice plane, value-weighted."""
    along_x, along_y = data.sum(axis=1) / area, data.sum(axis=0) / area
    cx, cy = x @ along_x, y @ along_y
    moments = np.empty((len(area), 2, 2))
    moments[:, 0, 0] = x**2 @ along_x - cx**2
    moments[:, 1, 1] = y**2 @ along_y - cy**2
    cross = np.einsum("ijk,i,j->k", data, x, y, optimize=True) / area - cx * cy
    moments[:, 0, 1] = moments[:, 1, 0] = cross
    return np.stack([cx, cy], axis=1), moments


def _sheppard(moments: Floats, line: Centreline, spacing_mm: tuple[float, float, float]) -> Floats:
    """Take from the moments of a soft mask what averaging over a voxel added.

    p^2/12 per axis in the plane; through the slice a tilted cord is smeared along its own slope, which adds
    (pz slope)^2 / 12. A binary mask samples the cord at voxel centres and averages nothing: no correction.
    """
    px, py, pz = spacing_mm
    slope = np.nan_to_num(np.stack([line.slope_x, line.slope_y], axis=1))
    smear = np.einsum("ki,kj->kij", slope, slope) * pz**2 + np.diag([px**2, py**2])
    return np.asarray(moments - smear / 12.0)


def _shape(moments: Floats, line: Centreline, frame: Floats) -> dict[str, Floats]:
    """Diameters and moment ellipse in the section perpendicular to the centreline."""
    slope = np.nan_to_num(np.stack([line.slope_x, line.slope_y, np.ones(len(moments))], axis=1))
    tangent = slope * line.cosine[:, None]
    # The slice cuts the cord obliquely; moving its points along the cord into the perpendicular plane is linear.
    project = np.eye(3) - np.einsum("ki,kj->kij", tangent, tangent)
    section = project[:, :, :2] @ moments @ project[:, :, :2].transpose(0, 2, 1)
    rl, ap = (_unit(project @ (frame.T @ axis)) for axis in np.eye(3)[:2])
    up = np.cross(tangent, rl)  # in the section, perpendicular to rl: to the front
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
    """4 sigma; NaN where a crumb of a slice leaves no variance after the correction."""
    return np.asarray(4.0 * np.sqrt(np.where(variance > 0.0, variance, np.nan)))


def _flags(
    data: Floats, index: NDArray[np.int64], start: tuple[int, int, int], shape: tuple[int, ...]
) -> list[set[str]]:
    """Name per slice what is unusual: several components, holes, contact with the image border, a gap beside it."""
    flags: list[set[str]] = [set() for _ in index]
    body = data >= 0.5 * data.max(axis=(0, 1))
    for name, count in (("components", _pieces(body, diagonal=True)), ("holes", _holes(body))):
        for k in np.flatnonzero(count > 1 if name == "components" else count > 0):
            flags[k].add(name)
    low = [start[axis] == 0 for axis in (0, 1)]
    high = [start[axis] + data.shape[axis] == shape[axis] for axis in (0, 1)]
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


def _pieces(body: NDArray[np.bool_], *, diagonal: bool) -> NDArray[np.int64]:
    """Number of connected pieces per slice of a boolean (nx, ny, n) array; slices are not connected."""
    structure = np.zeros((3, 3, 3), dtype=bool)
    structure[:, :, 1] = True if diagonal else ndimage.generate_binary_structure(2, 1)
    labels, total = ndimage.label(body, structure)
    if total == 0:
        return np.zeros(body.shape[2], dtype=np.int64)
    first = np.array([piece[2].start for piece in ndimage.find_objects(labels)])
    return np.bincount(first, minlength=body.shape[2]).astype(np.int64)


def _holes(body: NDArray[np.bool_]) -> NDArray[np.int64]:
    outside = np.pad(~body, ((1, 1), (1, 1), (0, 0)), constant_values=True)
    return _pieces(outside, diagonal=False) - 1
