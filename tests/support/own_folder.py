"""A lab's own plain folder: five people, two without masks, a contrast that no pattern knows, and a series."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from stages.core.phantom.dataset.publish import publish
from support.micro import publish_micro

#: Without masks: their images are there and cannot be trained on.
WITHOUT_MASKS = ("sub-labA101", "sub-labB101")


def make_folder(folder: Path, scratch: Path, revision: str = "r2") -> Path:
    """Write the folder, from the micro cohort (six people, of whom the last comes with the next revision).

    Parameters
    ----------
    folder : does not exist yet, or holds what this function wrote of an earlier revision
    scratch : where the cohort is generated
    revision : ``r1`` with five people, or ``r2``
    """
    if not scratch.exists():
        publish_micro(scratch)
    publish(scratch, "micro", revision, 2)
    for path in sorted(scratch.rglob("*")):
        name = path.relative_to(scratch)
        wanted = name.parts[0].startswith(("sub-", "derivatives")) or name.name in {
            "participants.tsv",
            "dataset_description.json",
        }
        if path.is_file() and wanted and "synth" not in name.name:
            without = [sub.replace("sub-lab", "sub-site") for sub in WITHOUT_MASKS]
            if name.parts[0] == "derivatives" and any(sub in name.parts for sub in without):
                continue
            # Ids of its own: those of the generated cohorts stand in the project's frozen list.
            target = folder / name.as_posix().replace("sub-site", "sub-lab")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    table = folder / "participants.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("sub-site", "sub-lab"), encoding="utf-8")
    image = nib.load(folder / "sub-labA001/anat/sub-labA001_T2w.nii.gz")
    (folder / "sub-labA001/func").mkdir(exist_ok=True)
    nib.save(image, folder / "sub-labA001/anat/sub-labA001_FLAIR.nii.gz")
    series = np.stack([np.asarray(image.dataobj)] * 2, axis=-1)
    nib.save(nib.Nifti1Image(series, image.affine), folder / "sub-labA001/func/sub-labA001_task-rest_bold.nii.gz")
    return folder
