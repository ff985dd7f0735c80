"""Where the voxels lie, and how the participant lay."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from stages.core.phantom.geometry import Float


@dataclass(frozen=True)
class Grid:
    """A grid of voxels along the world axes (RAS+).

    Attributes
    ----------
    shape : voxels along x, y, z
    spacing_mm : voxel size along x, y, z
    origin_mm : world position of the centre of voxel (0, 0, 0)
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    @classmethod
    def around(cls, extent_mm: tuple[float, float, float], spacing_mm: tuple[float, float, float],
               centre_mm: tuple[float, float, float]) -> Grid:  # fmt: skip
        """Return the grid of about ``extent_mm`` centred on ``centre_mm``."""
        shape = [max(1, round(e / s)) for e, s in zip(extent_mm, spacing_mm, strict=True)]
        origin = [float(c) - 0.5 * (n - 1) * s for c, n, s in zip(centre_mm, shape, spacing_mm, strict=True)]
        return cls((shape[0], shape[1], shape[2]), spacing_mm, (origin[0], origin[1], origin[2]))

    @property
    def affine(self) -> Float:
        affine: Float = np.eye(4)
        affine[(0, 1, 2), (0, 1, 2)] = self.spacing_mm
        affine[:3, 3] = self.origin_mm
        return affine

    def axis(self, k: int) -> Float:
        """World coordinates (n,) of the voxel centres along axis ``k``."""
        along: Float = self.origin_mm[k] + self.spacing_mm[k] * np.arange(self.shape[k], dtype=np.float64)
        return along

    def points(self) -> tuple[Float, Float, Float]:
        """World coordinates of all voxel centres, each (n,), in C order."""
        x, y, z = np.meshgrid(self.axis(0), self.axis(1), self.axis(2), indexing="ij")
        return x.ravel(), y.ravel(), z.ravel()


@dataclass(frozen=True)
class Pose:
    """How the participant lay during one scan: world = R (anatomy) + t.

    Attributes
    ----------
    turn : (3, 3) rotation matrix
    shift_mm : (3,) translation
    """

    turn: Float = field(default_factory=lambda: np.eye(3))
    shift_mm: Float = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def draw(cls, rng: np.random.Generator, *, turn_deg: float = 0.8, shift_mm: float = 0.4) -> Pose:
        """Draw a small motion between two contrasts."""
        turn = Rotation.from_rotvec(np.radians(rng.uniform(-turn_deg, turn_deg, 3))).as_matrix()
        return cls(turn, rng.uniform(-shift_mm, shift_mm, 3))

    def to_anatomy(self, x: Float, y: Float, z: Float) -> tuple[Float, Float, Float]:
        """Return where in the anatomy world points lie."""
        dx, dy, dz = x - self.shift_mm[0], y - self.shift_mm[1], z - self.shift_mm[2]
        t = self.turn
        return (t[0, 0] * dx + t[1, 0] * dy + t[2, 0] * dz,
                t[0, 1] * dx + t[1, 1] * dy + t[2, 1] * dz,
                t[0, 2] * dx + t[1, 2] * dy + t[2, 2] * dz)  # fmt: skip

    def to_world(self, points: Float) -> Float:
        """Return where anatomical points (n, 3) lie in the world."""
        moved: Float = points @ self.turn.T + self.shift_mm
        return moved
