"""Centreline of a cord: a smooth curve through the centroids of its slices, with a stiffness that is a length in mm.

For x and for y the fit minimises

    sum over slices k  w_k (pz / L) (x_k - f(u_k))^2  +  integral of f'''(u)^2 du,   u = z / L

where w_k are the weights, pz is the distance between slices and L the stiffness, both in mm. The fit uses quintic
splines with knots L / 2 apart, because the exact minimiser is a quintic spline (penalised splines: Eilers and Marx
1996, doi:10.1214/ss/1038425655). The first term approximates an integral over the length, so the result depends
neither on the voxel size nor on the number of slices. A wave of length 2 pi L loses half of its height, one of 4 pi L
loses 1.5 %. The third derivative of a constant curvature is 0, so constant curvature costs nothing. There are no
conditions at the ends.
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
    """Centreline at each of n slices, in the frame of the image.

    Attributes
    ----------
    x_mm, y_mm : (n,) positions, mm from the centre of the first voxel
    slope_x, slope_y : (n,) dx/dz and dy/dz; NaN where they are unknown, because there is only one slice
    """

    x_mm: Floats
    y_mm: Floats
    slope_x: Floats
    slope_y: Floats

    @property
    def cosine(self) -> Floats:
        """Cosine of the total angle between tangent and slice normal, (n,), in (0, 1]; 1 where the slope is unknown.

        A cord that moves 3 mm to the side while it climbs 4 mm is 5 mm long: the cosine is 4 / 5.

        >>> zero = np.zeros(1)
        >>> Centreline(zero, zero, slope_x=np.array([0.75]), slope_y=zero).cosine.tolist()
        [0.8]
        """
        squares = np.nan_to_num(self.slope_x) ** 2 + np.nan_to_num(self.slope_y) ** 2
        return np.asarray(1.0 / np.sqrt(1.0 + squares))

    def shifted(self, offsets_mm: Floats) -> Centreline:
        """Return the line with its points moved by ``offsets_mm`` (n, 2); slopes stay."""
        return Centreline(self.x_mm + offsets_mm[:, 0], self.y_mm + offsets_mm[:, 1], self.slope_x, self.slope_y)


def fit_centreline(
    z_mm: Floats, centroids_mm: Floats, weights: Floats, *, slice_mm: float, stiffness_mm: float
) -> Centreline:
    """Fit x(z) and y(z) through the centroids of slices. Slices may be missing between others.

    One slice has no direction: its slopes are NaN. Two slices, or slices that span less than one stiffness length, get
    the best straight line, because a curvature fitted to so little is noise.

    >>> z = np.array([0.0, 1.0, 2.0])
    >>> centroids = np.array([[10.0, 5.0], [12.0, 5.0], [14.0, 5.0]])
    >>> line = fit_centreline(z, centroids, np.ones(3), slice_mm=1.0, stiffness_mm=4.0)
    >>> line.slope_x.tolist()
    [2.0, 2.0, 2.0]

    Parameters
    ----------
    z_mm : (n,) ascending slice positions, n >= 1
    centroids_mm : (n, 2) x and y of the centroids
    weights : (n,) >= 0; a slice of weight 0 gets the line of the others
    slice_mm : distance of neighbouring slices, > 0
    stiffness_mm : bends shorter than this length are smoothed away, > 0
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
    """Return the integrals of products of third derivatives; 3 Gauss points per interval are exact for degree 4."""
    points, point_weights = np.polynomial.legendre.leggauss(3)
    half = np.diff(breaks)[:, None] / 2.0
    where = (breaks[:-1, None] + half * (1.0 + points)).ravel()
    third = basis.derivative(3)(where)
    return np.asarray((third.T * (half * point_weights).ravel()) @ third)


def _line(z_mm: Floats, centroids_mm: Floats, weights: Floats) -> Centreline:
    """Return the weighted least-squares line through the centroids."""
    centre = np.average(z_mm, weights=weights)
    mean = np.average(centroids_mm, weights=weights, axis=0)
    dz = z_mm - centre
    slope = (weights * dz) @ (centroids_mm - mean) / float(weights @ dz**2)
    position = mean + dz[:, None] * slope
    ones = np.ones(len(z_mm))
    return Centreline(position[:, 0], position[:, 1], slope[0] * ones, slope[1] * ones)
