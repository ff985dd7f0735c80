"""A painted anatomy as the share of every tissue in every voxel, from which an image of any contrast is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ...base.errors import DatasetError, SettingsError
from ...base.files import whole_file
from .scanner import Float32
from .tissues import TISSUES, Tissue

#: Units of the stored integers: shares, distances (mm), and the texture, whose SD is 1.
SHARE_STEP, DISTANCE_STEP_MM, TEXTURE_STEP = 1 / 255, 0.01, 0.05
#: Distances from the surface are stored up to here, mm.
REACH_MM = 127 * DISTANCE_STEP_MM


@dataclass(frozen=True)
class TissueMap:
    """One painted anatomy on a grid of nx x ny x nz voxels of equal size.

    Attributes
    ----------
    shares : (13, nx, ny, nz) uint8, share of each tissue of :class:`Tissue` in the voxel, in steps of 1/255
    outside : (nx, ny, nz) uint8, share of the voxel outside the spinal canal, in steps of 1/255
    texture : (nx, ny, nz) int8, fine texture in steps of 0.05 SD
    distance : (nx, ny, nz) int8, distance to the surface of the cord in steps of 0.01 mm, negative inside; farther than
        1.27 mm it is 1.27 mm
    """

    shares: NDArray[np.uint8]
    outside: NDArray[np.uint8]
    texture: NDArray[np.int8]
    distance: NDArray[np.int8]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along x, y, z."""
        nx, ny, nz = self.distance.shape
        return nx, ny, nz

    def crop(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> TissueMap:
        """Return a part of ``shape`` voxels that begins at voxel ``start``."""
        box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
        return TissueMap(self.shares[(slice(None), *box)], self.outside[box], self.texture[box], self.distance[box])

    def signal(self, signals: Mapping[Tissue, float]) -> Float32:
        """Return the signal (nx, ny, nz) for a signal of every tissue, both relative to white matter."""
        weights = np.array([[signals[t], TISSUES[t].texture] for t in Tissue], np.float32) * np.float32(SHARE_STEP)
        image, texture = np.zeros(self.shape, np.float32), np.zeros(self.shape, np.float32)
        for share, (signal, amount) in zip(self.shares, weights, strict=True):
            image += share * signal
            if amount:
                texture += share * amount
        varied: Float32 = image * np.maximum(0, 1 + texture * (self.texture * np.float32(TEXTURE_STEP)))
        return varied

    def cord(self, inwards_mm: float, voxel_mm: float) -> Float32:
        """Return the share of every voxel inside the cord, (nx, ny, nz) in [0, 1], to first order.

        Parameters
        ----------
        inwards_mm : the boundary is moved by so much towards the inside
        voxel_mm : size of the voxels

        Raises
        ------
        SettingsError
            Half a voxel and the shift together exceed ``REACH_MM``: no voxel would be quite outside, or quite inside.
        """
        if 0.5 * voxel_mm + abs(inwards_mm) > REACH_MM:
            raise SettingsError(
                f"The maps hold distances up to {REACH_MM:g} mm, but voxels of {voxel_mm:g} mm with a boundary that is "
                f"moved by {inwards_mm:g} mm need {0.5 * voxel_mm + abs(inwards_mm):g} mm; lower paint.voxel_mm or "
                "train.painted.inwards_mm."
            )
        distance = self.distance * np.float32(DISTANCE_STEP_MM) + np.float32(inwards_mm)
        share: Float32 = np.clip(0.5 - distance / np.float32(voxel_mm), 0, 1)
        return share

    def write(self, path: Path) -> None:
        """Write the map to one file, whole or not at all."""
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file, shares=self.shares, outside=self.outside, texture=self.texture, distance=self.distance
            )

    @classmethod
    def read(cls, path: Path) -> TissueMap:
        """Read what :meth:`write` wrote; nothing is unpickled.

        Raises
        ------
        DatasetError
            The file is missing or damaged, or its arrays do not fit together.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = cls(stored["shares"], stored["outside"], stored["texture"], stored["distance"])
                kinds = [array.dtype.name for array in (found.shares, found.outside, found.texture, found.distance)]
                shapes = {found.shares.shape[1:], found.outside.shape, found.texture.shape, found.distance.shape}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DatasetError(f"{path} is no painted anatomy ({error}); run `dvc repro --force paint`.") from error
        fits = len(shapes) == 1 and found.shares.ndim == 4 and len(found.shares) == len(Tissue)
        if not fits or kinds != ["uint8", "uint8", "int8", "int8"]:
            raise DatasetError(
                f"{path}: the arrays have the shapes {sorted(map(str, shapes))} and the types {kinds}; expected the "
                f"shares of {len(Tissue)} tissues on one grid. Run `dvc repro --force paint`."
            )
        return found
