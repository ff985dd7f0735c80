"""Position of the voxels, pose of the participant, and field of view."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ...base.errors import SettingsError
from ..anatomy.parts import Float


@dataclass(frozen=True)
class Grid:
    """A grid of voxels along the axes of its own frame. The frame is the world (RAS+) rotated about its origin.

    Attributes
    ----------
    shape : number of voxels along x, y, z
    spacing_mm : voxel size along x, y, z
    origin_mm : position of the centre of voxel (0, 0, 0) in the grid's frame
    turn : (3, 3) rotation, world = turn @ frame; None: the frame is the world
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    turn: Float | None = None

    @classmethod
    def around(cls, extent_mm: tuple[float, float, float], spacing_mm: tuple[float, float, float],
               centre_mm: tuple[float, float, float], turn: Float | None = None) -> Grid:  # fmt: skip
        """Return a grid about a point of the world.

        Parameters
        ----------
        extent_mm : size along x, y, z; rounded to whole voxels
        spacing_mm : voxel size along x, y, z
        centre_mm : middle of the grid in the world
        turn : rotation of the grid, (3, 3)
        """
        if turn is not None:
            x, y, z = turn.T @ np.array(centre_mm)
            centre_mm = (float(x), float(y), float(z))
        shape = [max(1, round(e / s)) for e, s in zip(extent_mm, spacing_mm, strict=True)]
        origin = [float(c) - 0.5 * (n - 1) * s for c, n, s in zip(centre_mm, shape, spacing_mm, strict=True)]
        return cls((shape[0], shape[1], shape[2]), spacing_mm, (origin[0], origin[1], origin[2]), turn)

    @property
    def affine(self) -> Float:
        """Affine (4, 4) from voxel index to world mm."""
        affine: Float = np.eye(4)
        affine[(0, 1, 2), (0, 1, 2)] = self.spacing_mm
        affine[:3, 3] = self.origin_mm
        if self.turn is not None:
            affine[:3] = self.turn @ affine[:3]
        return affine

    @property
    def thick(self) -> int | None:
        """Axis across thick slices (2 mm or more); None where no slice is thick."""
        axis = int(np.argmax(self.spacing_mm))
        return axis if self.spacing_mm[axis] >= 2 else None

    def slabs(self, voxels: int) -> list[Grid]:
        """Return parts of the grid along z, each of at most about ``voxels`` voxels."""
        step = max(1, voxels // (self.shape[0] * self.shape[1]))
        x, y, z = self.origin_mm
        return [
            replace(self, shape=(*self.shape[:2], min(step, self.shape[2] - k)),
                    origin_mm=(x, y, z + k * self.spacing_mm[2]))
            for k in range(0, self.shape[2], step)
        ]  # fmt: skip

    def axis(self, k: int) -> Float:
        """Return the coordinates (n,) in mm of the voxel centres along axis ``k`` of the frame."""
        along: Float = self.origin_mm[k] + self.spacing_mm[k] * np.arange(self.shape[k], dtype=np.float64)
        return along

    def points(self) -> tuple[Float, Float, Float]:
        """Return x, y, z of all voxel centres in the frame, each (n,) in mm, in C order."""
        x, y, z = np.meshgrid(self.axis(0), self.axis(1), self.axis(2), indexing="ij")
        return x.ravel(), y.ravel(), z.ravel()


@dataclass(frozen=True)
class Pose:
    """Position of the participant during one scan: world = turn @ anatomy + shift.

    Attributes
    ----------
    turn : (3, 3) rotation
    shift_mm : (3,) translation
    """

    turn: Float = field(default_factory=lambda: np.eye(3))
    shift_mm: Float = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def draw(cls, rng: np.random.Generator, *, turn_deg: float = 0.8, shift_mm: float = 0.4) -> Pose:
        """Draw a small motion between two contrasts: at most ``turn_deg`` and ``shift_mm`` along each axis."""
        turn = Rotation.from_rotvec(np.radians(rng.uniform(-turn_deg, turn_deg, 3))).as_matrix()
        return cls(turn, rng.uniform(-shift_mm, shift_mm, 3))

    def seen_from(self, grid: Grid) -> Pose:
        """Return the same pose in the frame of a grid: in a turned grid the participant is turned the other way."""
        return self if grid.turn is None else Pose(grid.turn.T @ self.turn, grid.turn.T @ self.shift_mm)

    def to_anatomy(self, x: Float, y: Float, z: Float) -> tuple[Float, Float, Float]:
        """Return the anatomical coordinates of world points, each (n,) in mm."""
        dx, dy, dz = x - self.shift_mm[0], y - self.shift_mm[1], z - self.shift_mm[2]
        t = self.turn
        return (t[0, 0] * dx + t[1, 0] * dy + t[2, 0] * dz,
                t[0, 1] * dx + t[1, 1] * dy + t[2, 1] * dz,
                t[0, 2] * dx + t[1, 2] * dy + t[2, 2] * dz)  # fmt: skip

    def to_world(self, points: Float) -> Float:
        """Return the world coordinates (n, 3) in mm of anatomical points (n, 3) in mm."""
        moved: Float = points @ self.turn.T + self.shift_mm
        return moved


#: Largest rotation of a grid. With more, its slices are no longer axial, and C2-C3 leaves the field of view.
TURN_MAX_DEG = 30.0


@dataclass(frozen=True)
class View:
    """Field of view of an image.

    Attributes
    ----------
    extent_mm, centre_mm : size and middle in the world; the disc C2/C3 lies 0 to 4 mm above the origin
    spacing_mm : voxel size; None: that of the contrast
    turn_deg : angles by which the grid is turned about the world's x, y and z axes, in this order
    large : whether head, shoulders and air are in view
    """

    extent_mm: tuple[float, float, float] = (64.0, 80.0, 80.0)
    centre_mm: tuple[float, float, float] = (0.0, 1.0, 0.0)
    spacing_mm: tuple[float, float, float] | None = None
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    large: bool = False

    @property
    def turn(self) -> Float | None:
        """Rotation of the grid, (3, 3); None where it is not turned.

        Raises
        ------
        SettingsError
            The angles together turn the grid by more than ``TURN_MAX_DEG``.
        """
        if not any(self.turn_deg):
            return None
        rotation = Rotation.from_euler("xyz", self.turn_deg, degrees=True)
        angle = float(np.degrees(rotation.magnitude()))
        if not angle <= TURN_MAX_DEG + 1e-9:
            wanted = ", ".join(f"{d:g}" for d in self.turn_deg)
            raise SettingsError(
                f"The grid would be turned by {angle:.4g} degrees (x, y, z: {wanted}); "
                f"expected at most {TURN_MAX_DEG:g} altogether; use smaller angles."
            )
        matrix: Float = rotation.as_matrix()
        return matrix


NECK = View()
#: The field of view of spine-generic's T1w image: 320 x 260 x 192 voxels of 1 mm, feet-head, back-front, left-right.
LARGE = View((192.0, 260.0, 320.0), (0.0, 20.0, -12.0), (1.0, 1.0, 1.0), large=True)
