"""What the header of a mask of one's own says against itself: lengths that are not in mm, two positions that differ."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib

from ...base.errors import ImageError
from ...data.inspection.header import corner_shift_mm

#: Two forms that lie farther apart at a corner of the volume (mm) are two positions; the stage `check` has the same.
FORM_MM = 0.5


def require_mm(path: Path) -> None:
    """Refuse a NIfTI file whose lengths are not in mm: an area would be wrong by a factor of a million.

    A header that names no unit is taken for mm, as all tools of the field do.

    Raises
    ------
    ImageError
        The header says metres or microns.
    """
    header = nib.load(path).header  # type: ignore[attr-defined]
    unit = header.get_xyzt_units()[0] if isinstance(header, nib.Nifti1Header) else "mm"
    if unit in {"meter", "micron"}:
        raise ImageError(
            f"{path} says in its header that its lengths are in {unit}s; expected mm. If they are in mm, correct the "
            "header (`nibabel`: image.header.set_xyzt_units('mm')); if not, convert the file."
        )


def forms_apart(path: Path) -> str:
    """Say in a sentence that qform and sform of a file name two positions; empty where they agree or one is not set."""
    image = nib.load(path)
    header = image.header  # type: ignore[attr-defined]
    if not isinstance(header, nib.Nifti1Header):
        return ""
    qform, sform = header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]
    if qform is None or sform is None:
        return ""
    apart = corner_shift_mm(qform, sform, image.shape)  # type: ignore[attr-defined]
    if not apart > FORM_MM:
        return ""
    return (
        f"{path} has a qform and an sform that lie {apart:.3g} mm apart at a corner of the volume; the sform is used. "
        "Where they differ in angle, slices and vertebrae are others."
    )
