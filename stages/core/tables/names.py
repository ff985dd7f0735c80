"""Participant, session and contrast in the name of a file, as BIDS writes them."""

from __future__ import annotations

import re
from typing import NamedTuple

#: The contrast is what stands between the participant, or the session, and the name of the mask.
_NAME = re.compile(
    r"(?P<participant>sub-[A-Za-z0-9-]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?_(?P<contrast>[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*?)"
    r"(?:_(?P<mask>(?:seg|softseg|label|desc|mask|PAM50|pred)(?:[-_.].*)?))?\.(?:nii(?:\.gz)?|mgz)"
)


class FileName(NamedTuple):
    """What a file name says; ``session`` and ``mask`` are ``""`` where it does not say it."""

    participant: str
    session: str
    contrast: str
    mask: str


def file_name(path: str) -> FileName | None:
    """Return what the name of an image, mask or label file says; None where it is no name of BIDS.

    >>> file_name("derivatives/sub-01_ses-02_acq-ax_T2w_label-SC_seg.nii.gz")
    FileName(participant='sub-01', session='ses-02', contrast='acq-ax_T2w', mask='label-SC_seg')
    >>> file_name("cord.nii.gz") is None
    True

    Parameters
    ----------
    path : with folders or without, with either slash
    """
    found = _NAME.fullmatch(re.split(r"[/\\]", path)[-1])
    if found is None:
        return None
    return FileName(found["participant"], found["session"] or "", found["contrast"], found["mask"] or "")
