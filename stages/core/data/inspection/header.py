"""Checks of a NIfTI header before any voxel is read, so that a wrong header cannot make the check use all memory."""

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

from ...images.volumes import is_grid
from .fault import Fault, error, warning
from .settings import Check

#: A volume that needs more bytes than this, as stored or as float32, is refused before it is read: two processes hold
#: copies at the same time. The largest MRI of a neck needs a tenth of it.
LARGEST_BYTES = 2**30
#: From this cosine between two voxel axes on, they count as sheared; smaller ones are rounding in the header.
SHEAR = 1e-3
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
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    qform: NDArray[np.float64] | None
    sform: NDArray[np.float64] | None

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
    return Header(shape, affine, _form(header, "qform"), _form(header, "sform")), []


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


def faults_of_header(header: Header, params: Check) -> list[Fault]:
    """Check the grid of an image: its two forms, shear, obliqueness and voxel sizes."""
    faults: list[Fault] = []
    if header.qform is None and header.sform is None:
        faults.append(
            warning("forms-missing", "has a header that sets neither qform nor sform", "a position in the scanner")
        )
    elif header.qform is not None and header.sform is not None:
        apart = corner_shift_mm(header.qform, header.sform, header.shape)
        if not np.isfinite(apart):
            say = "has a qform that is no rotation; the sform is used"
            faults.append(warning("forms-disagree", say, "a qform that agrees with the sform"))
        elif apart > params.form_mm:
            say = f"has a qform and an sform that lie {apart:.3g} mm apart; the sform is used"
            faults.append(warning("forms-disagree", say, f"at most {params.form_mm:g} mm", apart))
    axes = header.affine[:3, :3] / np.linalg.norm(header.affine[:3, :3], axis=0)
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > SHEAR:
        angle = float(np.degrees(np.arcsin(min(shear, 1.0))))
        faults.append(
            error(
                "sheared",
                f"has voxel axes that deviate {angle:.2g} degrees from the right angle",
                "right angles",
                angle,
            )
        )
    if header.obliqueness_deg > params.oblique_deg:
        say = f"has a voxel axis that is turned {header.obliqueness_deg:.1f} degrees away from the nearest scanner axis"
        faults.append(warning("oblique", say, f"at most {params.oblique_deg:g} degrees", header.obliqueness_deg))
    least, largest = params.spacing_mm
    for size in header.spacing_mm:
        if not least <= size <= largest:
            say = f"has voxels of {_text(header.spacing_mm)} mm"
            faults.append(error("spacing", say, f"{least:g} to {largest:g} mm along each axis", size))
            break
    return faults


def faults_of_grid(header: Header, image: Header, tolerance_mm: float) -> list[Fault]:
    """Check that the stored grid of a mask or label file is that of its image; ``tolerance_mm`` is for the corners."""
    if header.orientation != image.orientation:
        say = f"is stored in {header.orientation} orientation, its image in {image.orientation}"
        return [error("grid", say, "the grid of the image")]
    if header.shape != image.shape:
        return [
            error("grid", f"has {_text(header.shape)} voxels, its image {_text(image.shape)}", "the grid of the image")
        ]
    apart = corner_shift_mm(header.affine, image.affine, image.shape)
    if not apart <= tolerance_mm:
        return [
            error(
                "grid",
                f"has a corner {apart:.3g} mm away from the corner of its image",
                f"at most {tolerance_mm:g} mm",
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


def _text(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
