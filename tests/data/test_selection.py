"""Which images of a dataset lack a mask, where a drafted mask belongs, and images that are excluded one by one."""

from __future__ import annotations

from typing import Any

import pytest

from stages.core.base.errors import SettingsError
from stages.core.data.datasets.registry import Dataset, Frozen
from stages.core.data.datasets.selection import mask_path, select, select_unmasked

TREE = [
    "participants.tsv",
    *(f"{sub}/anat/{sub}_{name}.nii.gz" for sub in ("sub-1", "sub-2", "sub-3") for name in ("T1w", "T2w")),
    "derivatives/labels/sub-1/anat/sub-1_T2w_label-SC_seg.nii.gz",
    "derivatives/labels/sub-1/anat/sub-1_T2w_label-SC_seg.json",
    "derivatives/labels/sub-2/anat/sub-2_T2w_label-SC_seg.nii.gz",
]
T2W = {"image": "{sub}/anat/{sub}_T2w.nii.gz", "mask": "derivatives/labels/{sub}/anat/{sub}_T2w_label-SC_seg.nii.gz"}
T1W = {"image": "{sub}/anat/{sub}_T1w.nii.gz"}


def dataset(**more: Any) -> Dataset:
    fixed = {"url": "x", "tag": "r1", "commit": "a" * 40, "licence": "x", "role": "train"}
    return Dataset.model_validate(fixed | {"contrasts": {"T1w": T1W, "T2w": T2W}} | more)


def test_images_without_a_mask_and_the_place_of_their_masks() -> None:
    lab = dataset()
    found = select_unmasked("lab", lab, [Frozen("sub-3", "lab-frozen")], TREE)
    assert {case.image: mask_path(lab, case) for case in found.cases} == {
        "sub-1/anat/sub-1_T1w.nii.gz": "derivatives/labels/sub-1/anat/sub-1_T1w_label-SC_seg.nii.gz",
        "sub-2/anat/sub-2_T1w.nii.gz": "derivatives/labels/sub-2/anat/sub-2_T1w_label-SC_seg.nii.gz",
    }
    assert found.files == ["participants.tsv", "sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz"]
    assert [row.reason for row in found.excluded if row.participant == "sub-3"] == ["frozen test set (lab-frozen)"]


def test_what_lies_beside_a_mask_is_fetched_for_training_and_not_for_a_test() -> None:
    beside = "derivatives/labels/sub-1/anat/sub-1_T2w_label-SC_seg.json"
    assert beside in select("lab", dataset(), [], TREE).files
    tested = dataset(role="test", contrasts={"T2w": T2W})
    assert beside not in select("lab", tested, [Frozen("sub-1", "lab")], TREE).files


def test_an_image_that_is_excluded_is_used_nowhere_and_must_exist() -> None:
    lab = dataset(exclude_images={"sub-1/anat/sub-1_T2w.nii.gz": "motion", "sub-2/anat/sub-2_T1w.nii.gz": "metal"})
    chosen = select("lab", lab, [], TREE)
    assert [case.image for case in chosen.cases] == ["sub-2/anat/sub-2_T2w.nii.gz"]
    assert "excluded image: motion" in [row.reason for row in chosen.excluded]
    assert "sub-2/anat/sub-2_T1w.nii.gz" not in select_unmasked("lab", lab, [], TREE).files
    with pytest.raises(SettingsError, match=r"excludes the image 'sub-9/x.nii.gz', but has no such file"):
        select("lab", dataset(exclude_images={"sub-9/x.nii.gz": "x"}), [], TREE)
    gone = dataset(exclude_images={"sub-9/x.nii.gz": "x"}, withdrawn={"sub-9": "asked"})
    assert len(select("lab", gone, [], TREE).cases) == 2, "who withdrew may be gone from the dataset"


def test_when_every_image_has_a_mask_there_is_nothing_to_draft() -> None:
    tree = [path for path in TREE if "sub-3" not in path]
    with pytest.raises(SettingsError, match=r"every image of 'lab' at r1 has a mask \(2 images"):
        select_unmasked("lab", dataset(contrasts={"T2w": T2W}), [], tree)


@pytest.mark.parametrize(
    ("contrasts", "says"),
    [
        ({"T2w": {**T2W, "mask": "labels/{sub}_seg.nii"}}, r"drafts are written as .nii.gz, and the mask pattern is"),
        ({"T1w": {**T1W, "mask": T2W["mask"]}, "T2w": T2W}, r"'T1w' and 'T2w' have one mask pattern"),
    ],
)
def test_a_draft_needs_a_place_of_its_own(contrasts: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        select_unmasked("lab", dataset(contrasts=contrasts), [], TREE)
