"""Where the masks of images from any folder go: by the BIDS name of an image, else by its own name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...base.errors import SettingsError

_ENDING = re.compile(r"\.nii(\.gz)?$")
_BIDS = re.compile(
    r"(?P<sub>sub-[A-Za-z0-9]+)(?:_(?P<ses>ses-[A-Za-z0-9]+))?(?:_[A-Za-z0-9]+-[A-Za-z0-9+]+)*_[A-Za-z0-9]+"
)
#: Folders of BIDS in which images lie; an image elsewhere is taken for an anatomical one.
_KINDS = frozenset({"anat", "dwi", "fmap", "func", "perf"})


def stem_of(image: Path) -> str:
    """Return the path of an image's masks in the output folder, without their ending.

    >>> stem_of(Path("study/sub-01/ses-2/dwi/sub-01_ses-2_dwi.nii.gz"))
    'sub-01/ses-2/dwi/sub-01_ses-2_dwi'
    >>> stem_of(Path("scan 7.nii"))
    'scan 7'
    """
    name = _ENDING.sub("", image.name)
    found = _BIDS.fullmatch(name)
    if found is None:
        return name
    kind = image.parent.name if image.parent.name in _KINDS else "anat"
    return "/".join([*filter(None, found.group("sub", "ses")), kind, name])


def stems_of(images: Sequence[Path]) -> list[str]:
    """Return :func:`stem_of` for each image.

    Raises
    ------
    SettingsError
        A name is that of no NIfTI file, or two images would get the same mask.
    """
    for image in images:
        if image.is_dir():
            raise SettingsError(f"{image} is a folder; name the images in it: cordrift segment {image}/*.nii.gz.")
        if not _ENDING.search(image.name):
            raise SettingsError(f"{image} is not named .nii or .nii.gz; expected a NIfTI image.")
    stems = [stem_of(image) for image in images]
    stem, count = Counter(stems).most_common(1)[0]
    if count > 1:
        twice = [str(image) for image, one in zip(images, stems, strict=True) if one == stem]
        raise SettingsError(
            f"{' and '.join(twice[:2])} would both be written to {stem}_label-SC_seg.nii.gz; segment them into two "
            "folders (-o)."
        )
    return stems
