"""Path patterns of a registry entry, guessed from the files of a folder in BIDS layout. Input is a list of paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .registry import ContrastFiles

_IMAGE = re.compile(
    r"(?P<sub>sub-[A-Za-z0-9]+)/(?:(?P<ses>ses-[A-Za-z0-9]+)/)?[a-z]+/"
    r"(?P=sub)_(?:(?P=ses)_)?(?P<rest>[A-Za-z0-9][A-Za-z0-9_-]*)\.nii(?:\.gz)?"
)
#: Entities of which one participant can have several files: which of them is meant, only a person can say.
_SEVERAL = re.compile(r"(?:^|_)(?:run|chunk|part|echo)-")
#: What stands behind the participant in a file name -> the name of the contrast, where it is not the same.
CONTRAST_NAMES = {
    "T2starw": "T2star",
    "flip-1_mt-on_MTS": "MTon",
    "acq-MTon_MTS": "MTon",
    "flip-2_mt-off_MTS": "MToff",
    "acq-MToff_MTS": "MToff",
    "rec-average_dwi": "DWI",
    "dwi": "DWI",
}
#: Endings of the cord's masks, soft masks and disc labels, the best ones first.
_ENDINGS = {
    "mask": ("desc-softseg_label-SC_seg", "label-SC_seg", "label-SC_mask", "seg-manual", "seg", "mask"),
    "softmask": ("label-SC_softseg", "label-SC_probseg", "softseg"),
    "discs": ("label-discs_dlabel", "label-discs_desc-warp_dlabel", "labels-disc-manual", "labels-disc", "label-disc"),
}


class Unmatched(NamedTuple):
    """Images of one kind that no pattern takes, with the reason and one of them."""

    what: str
    images: int
    reason: str
    example: str


@dataclass(frozen=True)
class Guess:
    """The patterns of each contrast that has a mask or disc labels, and the images that stay out."""

    contrasts: dict[str, ContrastFiles]
    unmatched: list[Unmatched]


def guess_patterns(paths: Iterable[str], *, unmasked: bool = False) -> Guess:
    """Guess the patterns of images, masks, soft masks and disc labels from the names of files.

    Images without any mask or label are no contrast of the entry, since nothing can be trained or measured on them;
    with ``unmasked`` they are one, so that their masks can be drafted.

    >>> guess = guess_patterns(
    ...     ["sub-1/anat/sub-1_T2w.nii.gz", "derivatives/labels/sub-1/anat/sub-1_T2w_label-SC_seg.nii.gz"]
    ... )
    >>> guess.contrasts["T2w"].mask
    'derivatives/labels/{sub}/anat/{sub}_T2w_label-SC_seg.nii.gz'

    Parameters
    ----------
    paths : of all files, relative to the folder, with ``/``
    """
    known = sorted(paths)
    images: dict[str, list[tuple[str, re.Match[str]]]] = {}
    for path in known:
        found = _IMAGE.fullmatch(path)
        if found is not None:
            images.setdefault(found["rest"], []).append((path, found))
    contrasts: dict[str, ContrastFiles] = {}
    unmatched = []
    odd = [p for p in known if p.startswith("sub-") and p.endswith((".nii", ".nii.gz")) and not _IMAGE.fullmatch(p)]
    if odd:
        why = "the name does not follow BIDS: expected sub-ID/anat/sub-ID_..., with an ID of letters and digits"
        unmatched.append(Unmatched("other names", len(odd), why, odd[0]))
    for rest, group in sorted(images.items()):
        name = CONTRAST_NAMES.get(rest, rest.replace("_", "-"))
        labels = _labels(rest, known)
        reason = ""
        if _SEVERAL.search(rest):
            reason = "there can be several such files for one image: name the right one in the registry"
        elif not labels and not unmasked:
            reason = "no mask and no disc labels"
        elif name in contrasts:
            reason = f"the contrast {name} has other images already"
        if reason:
            unmatched.append(Unmatched(rest, len(group), reason, group[0][0]))
        else:
            image = _most_frequent([_template(path, match) for path, match in group])
            contrasts[name] = ContrastFiles.model_validate({"image": image, **labels})
    return Guess(contrasts, unmatched)


def _labels(rest: str, paths: Iterable[str]) -> dict[str, str]:
    """Return kind -> pattern of the masks and labels of the images with this name."""
    name = re.compile(
        rf"(?:.*/)?(?P<sub>sub-[A-Za-z0-9]+)_(?:(?P<ses>ses-[A-Za-z0-9]+)_)?{re.escape(rest)}_(?P<end>[A-Za-z0-9_-]+)"
        r"\.nii(?:\.gz)?"
    )
    found: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        match = name.fullmatch(path)
        if match is not None:
            for kind, endings in _ENDINGS.items():
                if match["end"] in endings:
                    found.setdefault(kind, {}).setdefault(match["end"], []).append(_template(path, match))
    return {
        kind: _most_frequent(next(by_end[end] for end in _ENDINGS[kind] if end in by_end))
        for kind, by_end in found.items()
    }


def _template(path: str, match: re.Match[str]) -> str:
    pattern = path.replace(match["sub"], "{sub}")
    return pattern if match["ses"] is None else pattern.replace(match["ses"], "{ses}")


def _most_frequent(patterns: list[str]) -> str:
    """Return the pattern of most files; one with the session stands also for files without a session."""
    with_session = [pattern for pattern in patterns if "{ses}" in pattern]
    return Counter(sorted(with_session or patterns)).most_common(1)[0][0]
