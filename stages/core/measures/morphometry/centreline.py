"""Centreline of a cord: per-slice centroids and a fit whose stiffness is a length in mm.

The fit minimises  sum_k w_k (pz / L) (x_k - f(u_k))^2 + integral f'''(u)^2 du  with u = z / L and L the stiffness in
mm, for x and y each, over quintic splines with knots L / 2 apart (the exact minimiser is a quintic spline; Eilers
and Marx 1996, doi:10.1214/ss/1038425655, for penalised splines). The data term is an integral over the length, so
the result depends neither on the voxel size nor on the number of slices; a wave of length 2 pi L is halved, one of
4 pi L is kept to 1.5 %. The third derivative leaves constant curvature unpenalised and there are no end conditions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.linalg import solve

Floats = NDArray[np.float64]
DEGREE = 5


@dataclass(frozen=True)
class Centreline:
    """Centreline at each of n slices, in the image frame.

    Attributes
    ----------
    x_mm, y_mm : (n,) positions, mm from the first voxel's centre
    slope_x, slope_y : (n,) dx/dz and dy/dz; NaN where a single slice leaves them unknown
    """

    x_mm: Floats
    y_mm: Floats
    slope_x: Floats
    slope_y: Floats

    @property
    def cosine(self) -> Floats:
        """Cosine of the total angle between tangent and slice normal, (n,); 1 where the slope is unknown."""
        squares = np.nan_to_num(self.slope_x) ** 2 + np.nan_to_num(self.slope_y) ** 2
        return np.asarray(1.0 / np.sqrt(1.0 + squares))


def fit_centreline(
    z_mm: Floats, centroids_mm: Floats, weights: Floats, *, slice_mm: float, stiffness_mm: float
) -> Centreline:
    """Fit x(z) and y(z) through centroids of slices; missing slices between them are bridged.

    One slice has no direction (slopes NaN). Two slices, or fewer than three within one stiffness length, get the
    best straight line: a curvature fitted to less than that is noise.

    Parameters
    ----------
    z_mm : (n,) ascending slice positions, n >= 1
    centroids_mm : (n, 2) centroid x, y
    weights : (n,) > 0
    slice_mm : distance of neighbouring slices, > 0
    stiffness_mm : length below which bends are smoothed away, > 0
    """
    if len(z_mm) == 1:
        unknown = np.full(1, np.nan)
        return Centreline(centroids_mm[:, 0], centroids_mm[:, 1], unknown, unknown.copy())
    if len(z_mm) < 3 or z_mm[-1] - z_mm[0] < stiffness_mm:
        return _line(z_mm, centroids_mm, weights)
    u = (z_mm - z_mm[0]) / stiffness_mm
    intervals = max(1, math.ceil(2.0 * u[-1]))
    breaks = np.linspace(0.0, u[-1], intervals + 1)
    knots = np.concatenate([np.zeros(DEGREE), breaks, np.full(DEGREE, u[-1])])
    basis = BSpline(knots, np.eye(len(knots) - DEGREE - 1), DEGREE)
    design = basis(u)
    weighted = design.T * (weights * slice_mm / stiffness_mm)
    coefficients = solve(weighted @ design + _penalty(basis, breaks), weighted @ centroids_mm, assume_a="pos")
    position = design @ coefficients
    slope = basis.derivative(1)(u) @ coefficients / stiffness_mm
    return Centreline(position[:, 0], position[:, 1], slope[:, 0], slope[:, 1])


def _penalty(basis: BSpline, breaks: Floats) -> Floats:
    """Integrals of products of third derivatives; 3 Gauss points an interval are exact for their degree of 4."""
    points, point_weights = np.polynomial.legendre.leggauss(3)
    half = np.diff(breaks)[:, None] / 2.0
    where = (breaks[:-1, None] + half * (1.0 + points)).ravel()
    third = basis.derivative(3)(where)
    return np.asarray((third.T * (half * point_weights).ravel()) @ third)


def _line(z_mm: Floats, centroids_mm: Floats, weights: Floats) -> Centreline:
    centre = np.average(z_mm, weights=weights)
    mean = np.average(centroids_mm, weights=weights, axis=0)
    dz = z_mm - centre
    slope = (weights * dz) @ (centroids_mm - mean) / float(weights @ dz**2)
    position = mean + dz[:, None] * slope
    ones = np.ones(len(z_mm))
    return Centreline(position[:, 0], position[:, 1], slope[0] * ones, slope[1] * ones)
