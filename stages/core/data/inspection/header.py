"""What a NIfTI header says, before any voxel is read: a header may lie, and a lie must not cost the memory."""

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

#: A volume that needs more bytes than this, as stored or as float32, is refused unread: two processes work on copies
#: of it at once. The largest MRI of a neck is a tenth of it.
LARGEST_BYTES = 2**30
#: Least cosine between two voxel axes that is a shear and no rounding in the header.
SHEAR = 1e-3
_BLOCK = 1 << 20
#: A NIfTI-2 header with the flag of its extensions; that of NIfTI-1 is shorter.
_HEADER_BYTES = 540 + 4


@dataclass(frozen=True)
class Header:
    """Shape, affine (4, 4) to world mm, and whether each of the two coordinate forms is set."""

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
        """Storage orientation, e.g. ``RPI``: where each axis leads."""
        return "".join(str(code) for code in nib.aff2axcodes(self.affine))


def read_header(path: Path) -> tuple[Header | None, list[Fault]]:
    """Read the header alone, and count whether the file can hold what it claims.

    No more of a file is unpacked than its header claims (and one byte), and that only up to ``LARGEST_BYTES``: neither
    a header that claims terabytes nor a small file that unpacks to them is followed. No header comes back when the
    voxels must not be read.
    """
    try:
        with _stream(path) as stream:
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
        say = f"holds {header.get_value_label('datatype')} values"
        return None, [error("unreadable", say, "one real number a voxel")]
    fault = _judge_claim(
        path, header, shape, dtype.itemsize, extended=block[header.sizeof_hdr : header.sizeof_hdr + 1] > b"\0"
    )
    if fault is not None:
        return None, [fault]
    affine = _affine(header)
    if not is_grid(affine) or np.isnan(nib.io_orientation(affine)).any():
        return None, [error("affine-invalid", "has an affine that is not finite or cannot be inverted", "a grid")]
    return Header(shape, affine, _form(header, "qform"), _form(header, "sform")), []


def _stream(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")


def _parse(block: bytes) -> Nifti1Header | None:
    for kind in (Nifti1Header, Nifti2Header):
        if kind.may_contain_header(block):
            header = kind(block[: kind.sizeof_hdr])
            header.get_slope_inter()  # refuses a scaling that no voxel can be read with
            header.get_data_offset()
            return header
    return None


def _judge_claim(
    path: Path, header: Nifti1Header, shape: tuple[int, ...], itemsize: int, *, extended: bool
) -> Fault | None:
    """Compare what the header claims with what the file holds, without reading a voxel."""
    offset, voxels = header.get_data_offset(), int(np.prod(shape, dtype=object))
    claimed = offset + voxels * itemsize
    needed = offset + voxels * max(itemsize, np.dtype(np.float32).itemsize)  # voxels are float32 once they are read
    if needed > LARGEST_BYTES or offset < 0:
        say = f"claims {needed / 1e9:,.1f} GB ({_text(shape)} voxels)"
        return error("header-claim", say, f"at most {LARGEST_BYTES / 1e9:.1f} GB", float(needed))
    try:
        held = _length(path, claimed + 1)
    except (OSError, EOFError, zlib.error) as reason:
        return error("unreadable", f"is truncated or damaged: {_reason(reason)}", "a whole file")
    if held < claimed:
        say = f"holds {held} bytes, but its header claims {claimed} ({_text(shape)} voxels)"
        return error("header-claim", say, "as many voxels as the header claims", float(held))
    if held > claimed and extended:
        # An extension says its own length: without an end of the file in sight it could claim what follows as well.
        say = f"holds header extensions and more than the {claimed} bytes that its header claims"
        return error("header-claim", say, "nothing after the voxels", float(held))
    return None


def _length(path: Path, most: int) -> int:
    """Bytes of the unpacked file, counted up to ``most`` and not beyond; nothing is kept."""
    if not path.name.endswith(".gz"):
        return path.stat().st_size
    held = 0
    with _stream(path) as stream:
        while held < most and (block := stream.read(min(_BLOCK, most - held))):
            held += len(block)
    return held


def _affine(header: Nifti1Header) -> NDArray[np.float64]:
    try:
        return np.asarray(header.get_best_affine(), dtype=np.float64)
    except ValueError:  # the qform alone is set, and is no rotation
        return np.full((4, 4), np.nan)


def _form(header: Nifti1Header, which: str) -> NDArray[np.float64] | None:
    """Return a coordinate form that is set; NaN where its numbers make no affine (a quaternion that is no rotation)."""
    try:
        form: NDArray[np.float64] | None = getattr(header, f"get_{which}")(coded=True)[0]
    except ValueError:
        return np.full((4, 4), np.nan)
    return form


def _reason(reason: Exception) -> str:
    """Return a library's words as the end of a sentence, without this machine's paths."""
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return (text or type(reason).__name__).strip().rstrip(".")


def judge_header(header: Header, params: Check) -> list[Fault]:
    """Judge the grid of an image: its two forms, shear, obliqueness and voxel sizes."""
    faults: list[Fault] = []
    if header.qform is None and header.sform is None:
        faults.append(warning("forms-missing", "sets neither qform nor sform", "a position in the scanner"))
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
            error("sheared", f"has voxel axes {angle:.2g} degrees off the right angle", "right angles", angle)
        )
    if header.obliqueness_deg > params.oblique_deg:
        say = f"lies oblique, {header.obliqueness_deg:.1f} degrees off the nearest axis"
        faults.append(warning("oblique", say, f"at most {params.oblique_deg:g} degrees", header.obliqueness_deg))
    least, largest = params.spacing_mm
    for size in header.spacing_mm:
        if not least <= size <= largest:
            say = f"has voxels of {_text(header.spacing_mm)} mm"
            faults.append(error("spacing", say, f"{least:g} to {largest:g} mm along each axis", size))
            break
    return faults


def judge_grid(header: Header, image: Header, tolerance_mm: float) -> list[Fault]:
    """Judge whether a mask or label lies on the grid of its image, voxel for voxel as stored."""
    if header.orientation != image.orientation:
        say = f"is stored as {header.orientation}, its image as {image.orientation}"
        return [error("grid", say, "the image's own grid")]
    if header.shape != image.shape:
        return [
            error("grid", f"has {_text(header.shape)} voxels, its image {_text(image.shape)}", "the image's own grid")
        ]
    apart = corner_shift_mm(header.affine, image.affine, image.shape)
    if not apart <= tolerance_mm:
        return [error("grid", f"lies {apart:.3g} mm off its image", f"at most {tolerance_mm:g} mm", apart)]
    return []


def corner_shift_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Largest distance (mm) by which two (4, 4) affines put a corner of a grid apart; symmetric in ``a`` and ``b``."""
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)]).T
    corners[:3] *= np.array(shape)[:, None] - 1.0
    return float(np.linalg.norm(((a - b) @ corners)[:3], axis=0).max())


def _text(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
