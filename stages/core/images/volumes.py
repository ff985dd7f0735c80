"""Read and write NIfTI volumes. A file that cannot be used gives an ImageError that names it and the reason.

Arrays are (x, y, z) with x to the patient's right, y to the front, z up (RAS+, "canonical" axes), whatever the order in
which the file stores them.
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

from ..base.errors import ImageError
from ..base.files import whole_file
from .header import corner_shift_mm, grid_tolerance_mm, is_grid, read_header

#: Largest distance of a mask's value from [0, 1], and of a binary mask's from 0 or 1, for the rounding of floats.
VALUE_TOLERANCE = 1e-3
#: A git-annex pointer file has at most this many bytes (git-annex's own limit).
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
    """Tell whether a file is a git-annex pointer: a short text in the place of content that was not fetched."""
    return _begins_with(path, b"/annex/objects/")


def is_lfs_pointer(path: Path) -> bool:
    """Tell whether a file is a git-lfs pointer, the same for content that git-lfs keeps."""
    return _begins_with(path, b"version https://git-lfs.github.com/spec/")


def _begins_with(path: Path, text: bytes) -> bool:
    if not path.is_file() or path.stat().st_size > POINTER_BYTES:
        return False
    with path.open("rb") as stream:
        return stream.read(len(text)) == text


def _open(path: Path) -> SpatialImage:
    """Open an image without reading its voxels; raise an ImageError where that is impossible."""
    if path.is_symlink() and not path.exists():
        raise ImageError(
            f"{path} is a link to content that was not fetched; run `datalad get {path.name}` in {path.parent}."
        )
    if path.is_dir():
        raise ImageError(f"{path} is a folder; expected a file such as mask.nii.gz.")
    if not path.is_file():
        raise ImageError(f"{path} does not exist.")
    if is_lfs_pointer(path):
        raise ImageError(
            f"{path} is a git-lfs pointer file, not an image: its content was not fetched. Run `git lfs pull` in its "
            "repository."
        )
    if is_pointer(path):
        raise ImageError(
            f"{path} is a git-annex pointer file, not an image: its content was not fetched. "
            f"Run `datalad get {path.name}` in {path.parent}, or `dvc repro fetch` where the pipeline owns the clone."
        )
    if path.name.endswith((".nii", ".nii.gz")):
        _, faults = read_header(path)
        if faults:
            raise ImageError(f"{path} {faults[0].message}; expected {faults[0].expected}.")
    elif path.name.endswith((".gz", ".mgz")):
        _require_whole(path)
    try:
        image = nib.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise ImageError(f"{path} cannot be read as an image: {error}") from error
    if not isinstance(image, SpatialImage):
        raise ImageError(f"{path} must be a volume, not {type(image).__name__}.")
    return image


def _require_whole(path: Path) -> None:
    """Read a packed file to its end: only there stands the check sum, and nibabel stops before it."""
    try:
        with gzip.open(path, "rb") as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"{path} is truncated or damaged: {error}; expected a whole file.") from error


def read(path: Path) -> Volume:
    """Read one 3-D volume and bring it to canonical axes; a fourth dimension of 1 is dropped.

    Raises
    ------
    ImageError
        The content was not fetched, the file is missing, unreadable or truncated, the image is not 3-D, its affine
        describes no grid, or a value is NaN or infinite.
    """
    image = _open(path)
    shape = image.shape[:3]
    if len(shape) != 3 or any(size != 1 for size in image.shape[3:]):
        raise ImageError(f"{path} must be 3-D, not {len(image.shape)}-D (shape {tuple(map(int, image.shape))}).")
    if image.get_data_dtype().kind not in "iufb":
        raise ImageError(f"{path} holds {image.get_data_dtype()} values; expected one real number per voxel.")
    try:
        canonical = nib.as_closest_canonical(image)
        data = np.asarray(canonical.dataobj, dtype=np.float32)
        data = data.reshape(data.shape[:3])
    except (OrientationError, np.linalg.LinAlgError) as error:
        raise ImageError(f"{path} has an affine that describes no grid ({error}); correct its header.") from error
    except (HeaderDataError, OSError, EOFError, ValueError, MemoryError, zlib.error) as error:
        raise ImageError(f"{path} is truncated or damaged: {error or type(error).__name__}") from error
    affine = np.asarray(canonical.affine, dtype=np.float64)
    if not is_grid(affine):
        raise ImageError(f"{path} has an affine that describes no grid (its axes lie in a plane); correct its header.")
    bad = int(data.size - np.isfinite(data).sum())
    if bad:
        raise ImageError(f"{path} holds {bad} values that are NaN or infinite (of {data.size}); expected none.")
    return Volume(np.ascontiguousarray(data), affine)


def grid_difference(a: Volume, b: Volume) -> str:
    """Return how two grids differ, or an empty string where all corners agree (see :func:`grid_tolerance_mm`)."""
    if a.data.shape != b.data.shape:
        return f"shapes {a.data.shape} and {b.data.shape}"
    shift_mm = corner_shift_mm(a.affine, b.affine, a.data.shape)
    return f"a corner lies {shift_mm:.3g} mm apart" if shift_mm > grid_tolerance_mm(a.affine, a.data.shape) else ""


def read_on_grid(path: Path, like: Volume, like_path: Path) -> Volume:
    """Read a mask or label file whose grid must be that of the volume ``like``, which was read from ``like_path``.

    Raises
    ------
    ImageError
        See :func:`read`; also where the grids differ.
    """
    volume = read(path)
    difference = grid_difference(volume, like)
    if difference:
        raise ImageError(f"{path} and {like_path} must lie on one grid, but {difference}.")
    return volume


def nearly_binary(data: NDArray[np.floating]) -> bool:
    """Tell whether every value is 0 or 1 within ``VALUE_TOLERANCE``.

    >>> nearly_binary(np.array([0.0, 0.9999999, 1.0])), nearly_binary(np.array([0.0, 0.4, 1.0]))
    (True, False)
    """
    return bool((np.minimum(np.abs(data), np.abs(data - 1.0)) <= VALUE_TOLERANCE).all())


def write(path: Path, data: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """Write a NIfTI file whose bytes depend only on the values: the gzip header holds no time.

    Parameters
    ----------
    path : file to write, ``.nii`` or ``.nii.gz``
    data : (nx, ny, nz) array; its type is the type in the file
    affine : (4, 4), voxel index to world mm
    """
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
    """Write a canonical array (nx, ny, nz) with the storage order and the affine of the image file ``source``.

    Raises
    ------
    ImageError
        ``source`` cannot be read, or has another shape.
    """
    image = _open(source)
    to_canonical = nib.orientations.io_orientation(image.affine)
    back = nib.orientations.ornt_transform(nib.orientations.io_orientation(np.eye(4)), to_canonical)
    stored = nib.orientations.apply_orientation(data, back)
    if stored.shape != image.shape[:3]:
        raise ImageError(
            f"an array of shape {stored.shape} cannot be written on the grid of {source}, whose shape is {image.shape}."
        )
    write(path, np.ascontiguousarray(stored), np.asarray(image.affine, dtype=np.float64))
