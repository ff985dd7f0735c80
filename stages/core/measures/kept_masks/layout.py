"""The kept form of a predicted mask: cropped to its non-zero box, so that it is small, and restored bit for bit.

A kept mask is a NIfTI in canonical axes. Its affine is shifted, so that a viewer shows it in its place over the image.
Everything else that restores the whole volume stands in ``kept.json``. This includes the affine, because a NIfTI rounds
it to float32.
"""

from __future__ import annotations

import gzip
import math
import zlib
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from ...base.errors import ImageError
from ...base.params import Block
from ...images.header import is_grid
from ...images.volumes import Volume, write

#: Name of the file beside the masks that describes them.
KEPT_INDEX = "kept.json"
#: Most voxels of a mask (2 GiB as float32); no scan has more.
MOST_VOXELS = 1 << 29
#: Most bytes of a NIfTI besides its voxels: the header, with room for extensions.
HEADER_BYTES = 4096

MaskKind = Literal["binary", "soft"]
Length = Annotated[int, Field(ge=1, le=32767)]
Index = Annotated[int, Field(ge=0, le=32766)]
Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


class KeptMask(Block):
    """One kept mask, and the volume that it was cropped from.

    Attributes
    ----------
    file : name in the zip
    shape, affine : of the whole volume, in canonical axes
    offset : index of the first voxel of the crop in the whole volume
    box : shape of the crop
    sha256 : of the file that `segment` wrote
    """

    file: str
    shape: tuple[Length, Length, Length]
    offset: tuple[Index, Index, Index]
    box: tuple[Length, Length, Length]
    affine: tuple[Row, Row, Row, Row]
    sha256: str


class KeptEntry(Block):
    """The entry of one case.

    Attributes
    ----------
    reason : why the case has no masks; empty when it has
    warnings : names of the checks that warn of the case
    masks : kind -> mask; empty when the case failed
    discs : disc labels as (value, i, j, k) in voxels of the whole volume; None where the case has no labels
    """

    dataset: str
    participant: str
    session: str
    contrast: str
    reason: str
    warnings: list[str]
    masks: dict[MaskKind, KeptMask]
    discs: list[tuple[FiniteFloat, Index, Index, Index]] | None


class KeptIndex(Block):
    """Content of ``kept.json``: all predictions of one bundle on the frozen set."""

    bundle: str
    inference: str
    cases: list[KeptEntry]


def keep(volume: Volume, file: Path, name: str, sha256: str) -> KeptMask:
    """Write the kept form of a mask and return its entry; the same mask gives the same bytes.

    An empty mask keeps one voxel, because a NIfTI without voxels cannot be viewed.

    Parameters
    ----------
    volume : the whole mask
    file : file to write
    name : name of the file in the zip
    sha256 : hash of the mask's original file
    """
    # Compare bits and not values: -0.0 equals 0.0, but must be restored as another float.
    bits = np.ascontiguousarray(volume.data, dtype=np.float32).view(np.uint32)
    box = []
    for axis in range(3):
        other = tuple(i for i in range(3) if i != axis)
        where = np.flatnonzero(bits.any(axis=other))
        box.append(slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 1))
    crop = np.ascontiguousarray(volume.data[tuple(box)], dtype=np.float32)
    offset = (box[0].start, box[1].start, box[2].start)
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [*offset, 1.0])[:3]
    zeros_and_ones = bool(np.isin(bits[tuple(box)], np.array([0.0, 1.0], dtype=np.float32).view(np.uint32)).all())
    write(file, crop.astype(np.uint8) if zeros_and_ones else crop, affine)
    return KeptMask.model_validate(
        {
            "file": name,
            "shape": volume.data.shape,
            "offset": offset,
            "box": crop.shape,
            "affine": volume.affine.tolist(),
            "sha256": sha256,
        }
    )


def restore(mask: KeptMask, content: bytes) -> Volume:
    """Restore the volume that :func:`keep` cropped, from its entry and the bytes of its file.

    Raises
    ------
    ImageError
        The entry describes no possible volume, or the file does not fit its entry. Both are checked before memory for
        the volume is allocated.
    """
    if math.prod(mask.shape) > MOST_VOXELS:
        raise ImageError(f"{mask.file} claims the shape {mask.shape}; no mask has over {MOST_VOXELS} voxels.")
    if any(start + length > n for start, length, n in zip(mask.offset, mask.box, mask.shape, strict=True)):
        raise ImageError(
            f"{mask.file} claims a box of {mask.box} at {mask.offset}, which leaves its volume of {mask.shape}."
        )
    affine = np.array(mask.affine, dtype=np.float64)
    if not is_grid(affine) or mask.affine[3] != (0.0, 0.0, 0.0, 1.0):
        raise ImageError(f"{mask.file} claims an affine that does not describe a grid.")
    crop = _voxels(mask, content)
    data = np.zeros(mask.shape, dtype=np.float32)
    data[tuple(slice(start, start + length) for start, length in zip(mask.offset, mask.box, strict=True))] = crop
    return Volume(data, affine)


def discs_of(case: KeptEntry, like: Volume) -> Volume | None:
    """Restore the volume of disc labels on the grid of a restored mask; None where the case has no labels.

    Raises
    ------
    ImageError
        A label lies outside the grid.
    """
    if case.discs is None:
        return None
    data = np.zeros(like.data.shape, dtype=np.float32)
    for value, *where in case.discs:
        if (np.array(where) >= data.shape).any():
            raise ImageError(f"{KEPT_INDEX} has a disc label at {tuple(where)}, outside its volume of {data.shape}.")
        data[tuple(where)] = value
    return Volume(data, like.affine)


def _voxels(mask: KeptMask, content: bytes) -> NDArray[np.float32]:
    """Return the voxels of the crop."""
    most = 4 * math.prod(mask.box) + HEADER_BYTES
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as stream:
            raw = stream.read(most + 1)  # not all of it: a small file may unpack to a huge one
        if len(raw) > most:
            raise ImageError(f"{mask.file} unpacks to more than {most} bytes, too many for its box of {mask.box}.")
        image = nib.Nifti1Image.from_bytes(raw)
        if image.shape != mask.box or image.get_data_dtype() not in (np.uint8, np.float32):
            raise ImageError(
                f"{mask.file} holds {image.get_data_dtype()} of the shape {image.shape}; expected uint8 or float32 of "
                f"{mask.box}, as {KEPT_INDEX} says."
            )
        return np.asarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ImageError(f"{mask.file} cannot be read as a kept mask: {error or type(error).__name__}.") from error
