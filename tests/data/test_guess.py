"""Patterns of a registry entry that are guessed from the names of files."""

from __future__ import annotations

import pytest

from stages.core.data.datasets.guess import guess_patterns
from stages.core.data.datasets.registry import Dataset
from stages.core.data.datasets.selection import select

LABELS = "derivatives/labels"


def files(sub: str, name: str, *ends: str, session: str = "") -> list[str]:
    """Return the paths of an image and of its masks and labels."""
    folder = f"{sub}/{session}/anat" if session else f"{sub}/anat"
    stem = f"{sub}_{session}_{name}" if session else f"{sub}_{name}"
    return [f"{folder}/{stem}.nii.gz", *(f"{LABELS}/{folder}/{stem}_{end}.nii.gz" for end in ends)]


def test_masks_soft_masks_and_discs_are_found_by_the_names_of_the_field() -> None:
    ends = ("label-SC_seg", "desc-softseg_label-SC_seg", "label-SC_softseg", "label-discs_dlabel", "label-GM_seg")
    found = guess_patterns(files("sub-01", "T2w", *ends)).contrasts["T2w"]
    stem = f"{LABELS}/{{sub}}/anat/{{sub}}_T2w_"
    assert found.image == "{sub}/anat/{sub}_T2w.nii.gz"
    assert found.mask == f"{stem}desc-softseg_label-SC_seg.nii.gz", "the better of two; grey matter is no cord"
    assert (found.softmask, found.discs) == (f"{stem}label-SC_softseg.nii.gz", f"{stem}label-discs_dlabel.nii.gz")


@pytest.mark.parametrize(
    ("name", "contrast"),
    [("flip-1_mt-on_MTS", "MTon"), ("acq-MToff_MTS", "MToff"), ("rec-average_dwi", "DWI"), ("T2starw", "T2star"),
     ("acq-ax_T2w", "acq-ax-T2w"), ("UNIT1", "UNIT1")],
)  # fmt: skip
def test_contrasts_have_the_names_of_the_field_or_their_own(name: str, contrast: str) -> None:
    assert list(guess_patterns(files("sub-01", name, "seg")).contrasts) == [contrast]


def test_what_no_pattern_takes_is_listed_with_the_reason() -> None:
    paths = [*files("sub-01", "T2w", "seg"), *files("sub-01", "FLAIR"), *files("sub-02", "FLAIR")]
    paths += files("sub-01", "run-1_T1w", "seg")
    guess = guess_patterns([*paths, "notes.txt", "sub-01/anat/sub-02_T2w.nii.gz", "sub-0-3/anat/sub-0-3_T2w.nii.gz"])
    assert list(guess.contrasts) == ["T2w"]
    assert [(one.what, one.images, one.reason.partition(":")[0]) for one in guess.unmatched] == [
        ("other names", 2, "the name does not follow BIDS"),
        ("FLAIR", 2, "no mask and no disc labels"),
        ("run-1_T1w", 1, "there can be several such files for one image"),
    ]


def test_two_names_of_one_contrast_are_not_mixed() -> None:
    paths = [*files("sub-01", "flip-1_mt-on_MTS", "seg"), *files("sub-02", "acq-MTon_MTS", "seg")]
    guess = guess_patterns(paths)
    assert list(guess.contrasts) == ["MTon"]
    assert [one.reason for one in guess.unmatched] == ["the contrast MTon has other images already"]


def test_guessed_patterns_select_everybody_with_and_without_sessions() -> None:
    paths = [*files("sub-01", "T2w", "seg", session="ses-1"), *files("sub-01", "T2w", "seg", session="ses-2")]
    paths += files("sub-02", "T2w", "seg")
    contrasts = guess_patterns(paths).contrasts
    entry = {"url": "x", "tag": "r1", "commit": None, "licence": "x", "role": "train"}
    chosen = select("ds", Dataset.model_validate({**entry, "contrasts": contrasts}), [], paths)
    assert [(case.participant, case.session) for case in chosen.cases] == [
        ("sub-01", "ses-1"), ("sub-01", "ses-2"), ("sub-02", ""),
    ]  # fmt: skip
