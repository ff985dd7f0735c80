"""Parts of a neck: diseases of the cord, sizes of the surroundings, and how the cord continues beyond the neck.

Positions along the cord are ``s`` in mm, see ``geometry.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
#: Either precision: areas are computed in double precision, the surroundings are painted in single precision.
Real = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Compression:
    """A narrowing of the cord from the front or back, as in mild cervical myelopathy.

    Attributes
    ----------
    s_mm : position of the middle
    depth : fraction of the antero-posterior diameter that is lost in the middle, in [0, 0.6]
    length_mm : standard deviation of the narrowing along the cord
    canal : fraction of the sac's antero-posterior diameter that a disc takes from the front there, in [0, 0.5]
    """

    s_mm: float
    depth: float
    length_mm: float
    canal: float = 0.0


@dataclass(frozen=True)
class Thinning:
    """A local loss of the area of the cord.

    Attributes
    ----------
    s_mm : position of the middle
    loss : fraction of the area that is lost in the middle, in [0, 0.5]
    length_mm : standard deviation of the loss along the cord
    """

    s_mm: float
    loss: float
    length_mm: float


@dataclass(frozen=True)
class Lesion:
    """A hyperintense ellipsoid inside the cord.

    Attributes
    ----------
    s_mm : position of its centre along the cord
    u, v : position of its centre in the section, as fractions of the half axes of the cord
    radius_mm, length_mm : radius in the section, and half length along the cord
    """

    s_mm: float
    u: float
    v: float
    radius_mm: float
    length_mm: float


@dataclass(frozen=True)
class Ends:
    """Cord and spine beyond the neck, for large views.

    There the slope of the centreline fades away, and the cord ends at the top, in a few anatomies also at the bottom.

    Attributes
    ----------
    top_s_mm : upper end of the cord, at the foramen magnum
    start_mm : the centreline follows its polynomials for abs(s) up to here; further out a cubic would leave the body
    decay_mm : lengths over which the slope falls to 1/e, below and above the neck
    reach_mm : the tables cover s in [-reach, reach]
    taper : fraction of its area that the cord loses between neck and chest
    conus_s_mm : tip of the conus medullaris, below which the sac holds nerve roots only; None: the cord goes on
    conus_mm : length of the conus, over which the area falls to 0 in proportion to the distance from the tip
    """

    top_s_mm: float
    start_mm: float = 45.0
    decay_mm: tuple[float, float] = (60.0, 20.0)
    reach_mm: float = 260.0
    taper: float = 0.3
    conus_s_mm: float | None = None
    conus_mm: float = 35.0

    def extend(self, value: Real, slope: Real, beyond: Real, order: int) -> Real:
        """Continue a curve, or its derivative, beyond the end of its polynomial.

        Parameters
        ----------
        value, slope : value (mm) of what is continued, and slope (mm per mm) of the curve, at the end
        beyond : distance from the end in mm; negative below the neck
        order : 0 for the curve, 1 and 2 for its derivatives
        """
        decay = np.where(beyond < 0, *self.decay_mm).astype(value.dtype)
        fade = np.exp(-np.abs(beyond) / decay)
        if order == 0:
            moved: Real = value + slope * decay * (1 - fade) * np.sign(beyond)
            return moved
        if order == 1:
            faded: Real = value * fade
            return faded
        bent: Real = np.where(beyond == 0, value, -slope * fade * np.sign(beyond) / decay)
        return bent


@dataclass(frozen=True)
class Bulk:
    """Sizes of the surroundings of the canal, in mm in the section perpendicular to the centreline."""

    body_rl_mm: float = 9.0  # half width of the vertebral bodies
    body_ap_mm: float = 8.0  # half depth
    disc_mm: float = 2.6  # half thickness
    cortex_mm: float = 0.8
    epidural_front_mm: float = 1.0
    epidural_back_mm: float = 1.8
    dura_mm: float = 0.5
    lamina_mm: float = 3.5
    arch_fraction: float = 0.62  # of a level's height that the arch covers
    spinous_mm: float = 2.4  # half width
    spinous_length_mm: float = 20.0
    spinous_slope: float = 0.45
    pillar_mm: float = 6.0  # radius of the articular pillars
    artery_mm: float = 1.9
    airway_mm: float = 8.0
    airway_gap_mm: float = 6.0  # prevertebral tissue between body and airway
    skin_mm: float = 42.0  # distance of the back of the neck's muscles from the cord
    root_mm: float = 0.45
    fat_sheet: float = 0.16  # thickness of fat sheets between muscles, in units of the texture
    streaks: float = 1.2  # threshold of fatty streaks: lower is more fat
