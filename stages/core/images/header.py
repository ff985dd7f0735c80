"""Checks of a NIfTI header before any voxel is read: by the stage `check`, and by every reading of an image.

A wrong header cannot make a reader use all memory, and a file that contradicts itself gives no number.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import obliquity, voxel_sizes
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from .fault import Fault, error, warning

#: A volume that needs more bytes than this, as stored or as float32, is refused before it is read: two processes hold
#: copies at the same time. The largest MRI of a neck needs a tenth of it.
LARGEST_BYTES = 2**30
#: From this cosine between two voxel axes on, they count as sheared; smaller ones are rounding in the header.
SHEAR = 1e-3
#: A qform and an sform that lie farther apart at a corner of the volume (mm) are two positions.
FORM_MM = 0.5
#: Largest relative difference between the voxel size of the affine and that of ``pixdim``: an area would be wrong by
#: twice as much.
SIZE_TOLERANCE = 1e-3
#: Largest angle (radians) by which a qform can be off through the rounding of its quaternion.
QUATERNION_RAD = 6e-4
#: Codes of the units of length in a header (bits 0 to 2 of ``xyzt_units``): 0 names none and is taken for mm, as all
#: tools of the field do.
UNITS = {1: "metres", 3: "microns"}
KNOWN_UNITS = (0, 2)
_BLOCK = 1 << 20
#: Bytes of a NIfTI-2 header with the flag of its extensions; a NIfTI-1 header is shorter.
_HEADER_BYTES = 540 + 4


@dataclass(frozen=True)
class Header:
    """The grid that a header describes.

    Attributes
    ----------
    shape : number of voxels along each storage axis
    affine : (4, 4), voxel index to world mm
    qform, sform : (4, 4), the two forms of the affine in the header; None where a form is not set
    pixdim_mm : voxel size along the three storage axes as the header states it beside the affine
    unit : code of the unit of length
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    qform: NDArray[np.float64] | None
    sform: NDArray[np.float64] | None
    pixdim_mm: tuple[float, ...]
    unit: int

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Voxel size along the three storage axes, mm."""
        return tuple(float(size) for size in voxel_sizes(self.affine))

    @property
    def obliqueness_deg(self) -> float:
        """Largest angle between a voxel axis and the world axis nearest to it, degrees, in [0, 54.8]."""
        return float(np.degrees(obliquity(self.affine)).max())

    @property
    def orientation(self) -> str:
        """Storage orientation, e.g. ``RPI``: the anatomical direction of each axis."""
        return "".join(str(code) for code in nib.aff2axcodes(self.affine))


def read_header(path: Path) -> tuple[Header | None, list[Fault]]:
    """Read the header of an image, and check that the file is as long as the header claims.

    At most one byte more than the header claims is unpacked, and never more than ``LARGEST_BYTES``. Therefore neither a
    header that claims terabytes nor a small file that unpacks to terabytes does harm.

    Returns
    -------
    The header, None where the voxels must not be read; and the faults.
    """
    try:
        with _open_unpacked(path) as stream:
            block = stream.read(_HEADER_BYTES)
        header = _parse(block)
    except (HeaderDataError, OSError, EOFError, ValueError, OverflowError, zlib.error) as reason:
        return None, [error("unreadable", f"cannot be read as an image: {_reason(reason)}", "a NIfTI volume")]
    if header is None:
        return None, [error("unreadable", "does not begin with a NIfTI header", "a NIfTI volume")]
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:  # one volume that is stored as a series
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        return None, [error("dimensions", f"has shape {_text(shape)}", "three dimensions", float(len(shape)))]
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        say = f"has {header.get_value_label('datatype')} values"
        return None, [error("unreadable", say, "one real number per voxel")]
    fault = _check_length(
        path, header, shape, dtype.itemsize, extended=block[header.sizeof_hdr : header.sizeof_hdr + 1] > b"\0"
    )
    if fault is not None:
        return None, [fault]
    affine = _affine(header)
    if not is_grid(affine) or np.isnan(nib.io_orientation(affine)).any():
        return None, [
            error(
                "affine-invalid",
                "has an affine with NaN or infinite numbers, or one that cannot be inverted",
                "a valid affine",
            )
        ]
    pixdim = tuple(float(size) for size in header["pixdim"][1:4])
    unit = int(header["xyzt_units"]) & 7
    return Header(shape, affine, _form(header, "qform"), _form(header, "sform"), pixdim, unit), []


def is_grid(affine: NDArray[np.float64]) -> bool:
    """Tell whether an affine (4, 4) is finite and its three axes lie in no plane (to 0.001 of their lengths)."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not np.isfinite(lengths).all() or not (lengths > 0).all():
        return False
    return int(np.linalg.matrix_rank(affine[:3, :3] / lengths, tol=1e-3)) == 3


def _open_unpacked(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")


def _parse(block: bytes) -> Nifti1Header | None:
    """Return the header in the first bytes of a file, None where they are no NIfTI header."""
    for kind in (Nifti1Header, Nifti2Header):
        if kind.may_contain_header(block):
            header = kind(block[: kind.sizeof_hdr])
            header.get_slope_inter()  # raises an error for a scaling with which no voxel can be read
            header.get_data_offset()
            return header
    return None


def _check_length(
    path: Path, header: Nifti1Header, shape: tuple[int, ...], itemsize: int, *, extended: bool
) -> Fault | None:
    """Compare the length that the header claims with the length of the unpacked file; return the fault, if any."""
    offset, voxels = header.get_data_offset(), int(np.prod(shape, dtype=object))
    claimed = offset + voxels * itemsize
    needed = offset + voxels * max(itemsize, np.dtype(np.float32).itemsize)  # voxels become float32 when they are read
    if needed > LARGEST_BYTES or offset < 0:
        say = f"has a header that claims {needed / 1e9:,.1f} GB ({_text(shape)} voxels)"
        return error("header-claim", say, f"at most {LARGEST_BYTES / 1e9:.1f} GB", float(needed))
    try:
        held = _unpacked_length(path, claimed + 1)
    except (OSError, EOFError, zlib.error) as reason:
        return error("unreadable", f"is truncated or damaged: {_reason(reason)}", "a whole file")
    if held < claimed:
        say = f"has {held} bytes, but its header claims {claimed} ({_text(shape)} voxels)"
        return error("header-claim", say, "as many voxels as the header claims", float(held))
    if held > claimed and extended:
        # The library would believe the length that an extension states, and could read all bytes that follow.
        say = f"has header extensions and more than the {claimed} bytes that its header claims"
        return error("header-claim", say, "nothing after the voxels", float(held))
    return None


def _unpacked_length(path: Path, most: int) -> int:
    """Return the number of bytes of the unpacked file; counting stops at about ``most``."""
    if not path.name.endswith(".gz"):
        return path.stat().st_size
    held = 0
    with _open_unpacked(path) as stream:
        while held < most and (block := stream.read(min(_BLOCK, most - held))):
            held += len(block)
    return held


def _affine(header: Nifti1Header) -> NDArray[np.float64]:
    """Return the affine (4, 4); NaN where the numbers in the header describe none."""
    try:
        return np.asarray(header.get_best_affine(), dtype=np.float64)
    except ValueError:  # only the qform is set, and it is no rotation
        return np.full((4, 4), np.nan)


def _form(header: Nifti1Header, which: str) -> NDArray[np.float64] | None:
    """Return a form of the affine (4, 4), None where it is not set, NaN where its numbers are no rotation."""
    try:
        form: NDArray[np.float64] | None = getattr(header, f"get_{which}")(coded=True)[0]
    except ValueError:
        return np.full((4, 4), np.nan)
    return form


def _reason(reason: Exception) -> str:
    """Return the message of a library as the end of a sentence, without paths of this machine."""
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return (text or type(reason).__name__).strip().rstrip(".")


def faults_of_header(header: Header, *, form_mm: float = FORM_MM) -> list[Fault]:
    """Check what a header says against itself: units, voxel sizes, shear, and its two forms of the affine.

    Parameters
    ----------
    header : a header that could be read
    form_mm : largest distance between the places of a corner according to qform and to sform
    """
    faults: list[Fault] = []
    if header.unit not in KNOWN_UNITS:
        unit = UNITS.get(header.unit, f"a unit with the unknown code {header.unit}")
        say = (
            f"says in its header that its lengths are in {unit} (if they are in mm, correct the header with nibabel: "
            "image.header.set_xyzt_units('mm'); if not, convert the file)"
        )
        faults.append(error("units", say, "mm", float(header.unit)))
    sizes = np.array(header.spacing_mm)
    if not np.allclose(sizes, np.abs(header.pixdim_mm), rtol=SIZE_TOLERANCE, atol=0.0):
        say = (
            f"has voxels of {_text(header.spacing_mm)} mm by its affine and of {_text(header.pixdim_mm)} mm by its "
            "pixdim (find out from the scanner's data which is right, and correct the header)"
        )
        faults.append(error("sizes-disagree", say, "one voxel size", float(sizes[0])))
    if header.qform is None and header.sform is None:
        faults.append(
            warning("forms-missing", "has a header that sets neither qform nor sform", "a position in the scanner")
        )
    elif header.qform is not None and header.sform is not None:
        apart = corner_shift_mm(header.qform, header.sform, header.shape)
        if not np.isfinite(apart):
            say = "has a qform that is no rotation; the sform is used"
            faults.append(warning("forms-disagree", say, "a qform that agrees with the sform"))
        elif apart > form_mm:
            say = (
                f"has a qform and an sform that lie {apart:.3g} mm apart at a corner of the volume; the sform is used "
                "(where they differ in angle, slices and vertebrae are others)"
            )
            faults.append(warning("forms-disagree", say, f"at most {form_mm:g} mm", apart))
    axes = header.affine[:3, :3] / np.linalg.norm(header.affine[:3, :3], axis=0)
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > SHEAR:
        angle = float(np.degrees(np.arcsin(min(shear, 1.0))))
        say = f"has voxel axes that deviate {angle:.2g} degrees from the right angle"
        faults.append(error("sheared", say, "right angles", angle))
    return faults


def faults_of_grid(header: Header, image: Header) -> list[Fault]:
    """Check that the stored grid of a mask or label file is that of its image."""
    if header.orientation != image.orientation:
        say = f"is stored in {header.orientation} orientation, its image in {image.orientation}"
        return [error("grid", say, "the grid of the image")]
    if header.shape != image.shape:
        return [
            error("grid", f"has {_text(header.shape)} voxels, its image {_text(image.shape)}", "the grid of the image")
        ]
    apart = corner_shift_mm(header.affine, image.affine, image.shape)
    tolerance_mm = grid_tolerance_mm(image.affine, image.shape)
    if not apart <= tolerance_mm:
        return [
            error(
                "grid",
                f"has a corner {apart:.3g} mm away from the corner of its image",
                f"at most {tolerance_mm:.3g} mm",
                apart,
            )
        ]
    return []


def corner_shift_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Return the largest distance (mm) between the places of a corner according to two affines (4, 4).

    ``shape`` is the number of voxels along each axis.
    """
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)]).T
    corners[:3] *= np.array(shape)[:, None] - 1.0
    return float(np.linalg.norm(((a - b) @ corners)[:3], axis=0).max())


def grid_tolerance_mm(affine: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Return the largest shift (mm) of a corner between two grids that still count as one grid.

    It is a tenth of the smallest voxel side, and on large volumes what the rounding of a qform can do: NIfTI stores
    three numbers of its quaternion as float32 and computes the fourth, which is inexact by the square root of the
    rounding where it is near 0, as in LPS and RPI storage.

    Parameters
    ----------
    affine : (4, 4), voxel index to world mm
    shape : number of voxels along each axis
    """
    sides = voxel_sizes(affine)
    diagonal = float(np.linalg.norm(sides * (np.array(shape) - 1.0)))
    return max(0.1 * float(sides.min()), QUATERNION_RAD * diagonal)


def _text(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
