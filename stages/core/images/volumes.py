"""Reading and writing NIfTI volumes: canonical axes from here on, and a sentence for every bad file.

Arrays are (x, y, z) with x to the patient's right, y to the front, z up (RAS+), whatever the storage order was.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError
from nibabel.spatialimages import HeaderDataError, SpatialImage
from numpy.typing import NDArray

from ..base.errors import CordriftError
from ..base.files import whole_file

#: Largest shift (mm) of any corner between two grids that still count as one grid.
GRID_TOLERANCE_MM = 0.01
#: A git-annex pointer file is at most this long (git-annex's own limit).
POINTER_BYTES = 32768


@dataclass(frozen=True)
class Volume:
    """A 3-D image in canonical (RAS+) axes.

    Attributes
    ----------
    data : (nx, ny, nz) float32 array
    affine : (4, 4) float64 array, voxel index to world mm
    """

    data: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along x, y, z in mm."""
        x, y, z = voxel_sizes(self.affine)
        return float(x), float(y), float(z)


def is_pointer(path: Path) -> bool:
    """Tell whether a file is a git-annex pointer (text in place of content that was not fetched)."""
    if not path.is_file() or path.stat().st_size > POINTER_BYTES:
        return False
    with path.open("rb") as stream:
        return stream.read(15) == b"/annex/objects/"


def is_grid(affine: NDArray[np.float64]) -> bool:
    """Tell whether an affine (4, 4) is finite and its three axes span space."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not np.isfinite(lengths).all() or not (lengths > 0).all():
        return False
    return int(np.linalg.matrix_rank(affine[:3, :3] / lengths)) == 3


def _open(path: Path) -> SpatialImage:
    if path.is_symlink() and not path.exists():
        raise CordriftError(
            f"{path} is a link to content that was not fetched; run `datalad get {path.name}` in {path.parent}."
        )
    if not path.is_file():
        raise CordriftError(f"{path} does not exist.")
    if is_pointer(path):
        raise CordriftError(
            f"{path} is a git-annex pointer file, not an image: its content was not fetched. "
            f"Run `datalad get {path.name}` in {path.parent}, or `dvc repro fetch` where the pipeline owns the clone."
        )
    try:
        image = nib.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error) as error:
        raise CordriftError(f"{path} cannot be read as an image: {error}") from error
    if not isinstance(image, SpatialImage):
        raise CordriftError(f"{path} must be a volume, not {type(image).__name__}.")
    return image


def read(path: Path) -> Volume:
    """Read one 3-D volume and bring it to canonical axes.

    Raises
    ------
    CordriftError
        Not fetched, missing, unreadable, truncated, not 3-D, an affine that is no grid, or values that are not finite.
    """
    image = _open(path)
    if len(image.shape) != 3:
        raise CordriftError(f"{path} must be 3-D, not {len(image.shape)}-D (shape {image.shape}).")
    try:
        canonical = nib.as_closest_canonical(image)
        data = np.asarray(canonical.dataobj, dtype=np.float32)
    except (OrientationError, np.linalg.LinAlgError) as error:
        raise CordriftError(f"{path} has an affine that is no grid ({error}); correct its header.") from error
    except (HeaderDataError, OSError, EOFError, ValueError, MemoryError, zlib.error) as error:
        raise CordriftError(f"{path} is truncated or damaged: {error or type(error).__name__}") from error
    affine = np.asarray(canonical.affine, dtype=np.float64)
    if not is_grid(affine):
        raise CordriftError(f"{path} has an affine that is no grid (its axes lie in a plane); correct its header.")
    bad = int(data.size - np.isfinite(data).sum())
    if bad:
        raise CordriftError(f"{path} holds {bad} values that are NaN or infinite (of {data.size}); expected none.")
    return Volume(np.ascontiguousarray(data), affine)


def grid_difference(a: Volume, b: Volume) -> str:
    """Say how two grids differ, or return an empty string when they are one grid (to 0.01 mm at every corner)."""
    if a.data.shape != b.data.shape:
        return f"shapes {a.data.shape} and {b.data.shape}"
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)]).T
    corners[:3] *= np.array(a.data.shape)[:, None] - 1.0
    shift_mm = float(np.abs((a.affine - b.affine) @ corners)[:3].max())
    return f"a corner lies {shift_mm:.3g} mm apart" if shift_mm > GRID_TOLERANCE_MM else ""


def read_on_grid(path: Path, like: Volume, like_path: Path) -> Volume:
    """Read a mask or label that must lie on the grid of ``like``.

    Raises
    ------
    CordriftError
        As :func:`read`, or the grids differ.
    """
    volume = read(path)
    difference = grid_difference(volume, like)
    if difference:
        raise CordriftError(f"{path} and {like_path} must lie on one grid, but {difference}.")
    return volume


def write(path: Path, data: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """Write a NIfTI whose bytes depend only on the values (no time stamp in the gzip header)."""
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    raw = image.to_bytes()
    with whole_file(path) as part:
        if path.name.endswith(".gz"):
            with part.open("wb") as stream, gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
                packed.write(raw)
        else:
            part.write_bytes(raw)


def write_like(path: Path, data: NDArray[np.generic], source: Path) -> None:
    """Write canonical ``data`` back on the storage grid (axes order and directions) of the image ``source``."""
    image = _open(source)
    to_canonical = nib.orientations.io_orientation(image.affine)
    back = nib.orientations.ornt_transform(nib.orientations.io_orientation(np.eye(4)), to_canonical)
    stored = nib.orientations.apply_orientation(data, back)
    if stored.shape != image.shape:
        raise CordriftError(f"result of shape {stored.shape} does not fit the grid {image.shape} of {source}.")
    write(path, np.ascontiguousarray(stored), np.asarray(image.affine, dtype=np.float64))
