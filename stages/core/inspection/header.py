"""What a NIfTI header says, before any voxel is read: a header may lie, and a lie must not cost the memory."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import obliquity, voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Header, Nifti1Pair
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from stages.core.inspection.fault import Fault, error, warning
from stages.core.params import Check

#: A volume of more bytes than this is refused unread; the largest MRI of a neck is a tenth of it.
LARGEST_BYTES = 4 * 2**30
#: Least cosine between two voxel axes that is a shear and no rounding in the header.
SHEAR = 1e-3
_BLOCK = 1 << 20


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

    No more of a file is unpacked than its header claims, and that only up to 4 GiB: neither a header that claims
    terabytes nor a small file that unpacks to them is followed. No header comes back when the voxels must not be read.
    """
    try:
        image = nib.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error) as reason:
        return None, [error("unreadable", f"cannot be read as an image: {reason}", "a NIfTI volume")]
    if not isinstance(image, Nifti1Pair):
        return None, [error("unreadable", f"is no NIfTI but {type(image).__name__}", "a NIfTI volume")]
    header = image.header
    shape = tuple(int(n) for n in header.get_data_shape())
    if len(shape) != 3 or min(shape) < 1:
        return None, [error("dimensions", f"has shape {_text(shape)}", "three dimensions", float(len(shape)))]
    affine = np.asarray(image.affine, dtype=np.float64)
    claimed = int(image.dataobj.offset) + int(np.prod(shape, dtype=object)) * int(header.get_data_dtype().itemsize)
    if claimed > LARGEST_BYTES:
        say = f"claims {claimed / 1e9:.3g} GB ({_text(shape)} voxels)"
        return None, [error("header-claim", say, f"at most {LARGEST_BYTES / 1e9:.3g} GB", float(claimed))]
    try:
        held = _length(path, claimed)
    except (OSError, EOFError, zlib.error) as reason:
        return None, [error("unreadable", f"is truncated or damaged: {reason}", "a whole file")]
    if held < claimed:
        say = f"holds {held} bytes, but its header claims {claimed} ({_text(shape)} voxels)"
        return None, [error("header-claim", say, "as many voxels as the header claims", float(held))]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        return None, [error("affine-invalid", "has an affine that is not finite or cannot be inverted", "a grid")]
    return Header(shape, affine, _form(header, "qform"), _form(header, "sform")), []


def _length(path: Path, claimed: int) -> int:
    """Bytes of the unpacked file, counted up to ``claimed`` and not beyond; nothing is kept."""
    if not path.name.endswith(".gz"):
        return path.stat().st_size
    held = 0
    with gzip.open(path, "rb") as stream:
        while held < claimed and (block := stream.read(min(_BLOCK, claimed - held))):
            held += len(block)
    return held


def _form(header: Nifti1Header, which: str) -> NDArray[np.float64] | None:
    form: NDArray[np.float64] | None = getattr(header, f"get_{which}")(coded=True)[0]
    return form


def judge_header(header: Header, params: Check) -> list[Fault]:
    """Judge the grid of an image: its two forms, shear, obliqueness and voxel sizes."""
    faults: list[Fault] = []
    if header.qform is None and header.sform is None:
        faults.append(warning("forms-missing", "sets neither qform nor sform", "a position in the scanner"))
    elif header.qform is not None and header.sform is not None:
        apart = corner_shift_mm(header.qform, header.sform, header.shape)
        if not apart <= params.form_mm:
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
