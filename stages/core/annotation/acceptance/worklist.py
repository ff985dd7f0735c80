"""The masks that a person is to correct: laid out in a folder for a viewer, and taken back with checks."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from ...base.errors import DatasetError, ImageError
from ...base.files import read_csv, sha256_of, whole_file, write_csv
from ...data.clones.programs import git
from ...data.datasets.label import FIXED, read_label, sidecar_of, write_label
from ...data.datasets.manifest import Manifest, locate
from ...images.mask_values import faults_of_values
from ...images.volumes import Volume, nearly_binary, read, read_on_grid
from ..drafts.work import DRAFTS, REVIEWED, Work, install
from ..review.items import open_drafts
from ..review.marks import Mark

COLUMNS = ("image", "image_file", "mask_file", "draft_sha256", "image_key", "reviewer", "tags", "comment")
TABLE, COMMANDS = "worklist.csv", "commands.txt"
#: A corrected mask whose mean area per slice changes by more than this share is to be confirmed.
MOST_CHANGE = 0.3
#: So is one whose Dice with the draft is smaller: it may lie beside the cord.
LEAST_DICE = 0.5


def write_worklist(folder: Path, work: Work, manifest: Manifest, to_fix: Mapping[str, tuple[str, Mark]]) -> int:
    """Lay out images and drafts for a viewer; return how many were added. What lies there already stays.

    Parameters
    ----------
    folder : of the worklist
    work : the clone with the drafts
    manifest : the images without masks, fetched
    to_fix : image -> (reviewers, mark)

    Raises
    ------
    DatasetError
        The disk is full, or the clone is not as it was fetched.
    """
    rows = read_worklist(folder)
    there = set(rows["image"])
    drafts = open_drafts(work)
    added = []
    for image, (who, mark) in sorted(to_fix.items()):
        if image in there:
            continue
        path, _, label = drafts[image]
        stem = image.removesuffix(".gz").removesuffix(".nii").replace("/", "_")
        names = {"image_file": image.replace("/", "_"), "mask_file": f"{stem}_mask.nii.gz"}
        for source, name in ((locate(manifest, image), names["image_file"]), (work.path / path, names["mask_file"])):
            with whole_file(folder / name) as part:
                shutil.copyfile(source, part)
        own = {"draft_sha256": sha256_of(work.path / path), "image_key": label.source_key}
        added.append(
            {"image": image, **names, **own, "reviewer": who, "tags": ", ".join(mark.tags), "comment": mark.comment}
        )
    if added:
        _write(folder, pd.concat([rows, pd.DataFrame(added)], ignore_index=True))
    return len(added)


def read_worklist(folder: Path) -> pd.DataFrame:
    """Read the table of a worklist; empty where there is none."""
    if not (folder / TABLE).is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    return read_csv(folder / TABLE, text=COLUMNS)[list(COLUMNS)]


def _write(folder: Path, rows: pd.DataFrame) -> None:
    """Write the table, and the commands that open each mask in FSLeyes, ITK-SNAP and 3D Slicer."""
    write_csv(folder / TABLE, rows[list(COLUMNS)])
    lines = ["# Correct a mask and save it under its own name, in one of:"]
    for row in rows.to_dict("records"):
        image, mask = (shlex.quote(str(row[name])) for name in ("image_file", "mask_file"))
        said = ", ".join(filter(None, (str(row["tags"]), str(row["comment"]))))
        lines += ["", f"# {row['image']}" + (f": {' '.join(said.split())}" if said else "")]
        lines += [f"fsleyes {image} {mask} -ot mask -o", f"itksnap -g {image} -s {mask}"]
        files = (str(row["image_file"]), str(row["mask_file"]))
        load = "slicer.util.loadVolume({!r}); slicer.util.loadSegmentation({!r})".format(*files)
        lines.append(f"Slicer --python-code {shlex.quote(load)}")
    with whole_file(folder / COMMANDS) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Corrected:
    """What became of the masks of a worklist.

    Attributes
    ----------
    taken : images whose corrected masks were taken over
    waiting : images whose masks are as the model drafted them
    refused, doubtful : a sentence for each mask that is wrong, and for each that is to be confirmed
    """

    taken: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


def take_corrected(
    folder: Path, work: Work, manifest: Manifest, reviewer: str, now: str, *, confirmed: bool
) -> Corrected:
    """Check the corrected masks of a worklist, commit those that are right, and take them off the list.

    Parameters
    ----------
    folder : of the worklist
    work : the clone with the drafts
    manifest : the images without masks, fetched
    reviewer : who corrected them
    now : when, ISO 8601
    confirmed : whether masks in doubt are taken too

    Raises
    ------
    DatasetError
        There is no worklist, or the clone is not as it was fetched.
    """
    rows = read_worklist(folder)
    if rows.empty:
        raise DatasetError(f"{folder / TABLE} lists no mask; mark masks with `fix` first and accept the marks.")
    drafts = open_drafts(work)
    result = Corrected()
    taken: dict[str, tuple[Path, str, str]] = {}
    for row in rows.to_dict("records"):
        image, file = str(row["image"]), folder / str(row["mask_file"])
        if image not in drafts or manifest.keys.get(image) != row["image_key"]:
            result.refused.append(f"{image} has no open draft, or has changed since; it was not taken.")
        elif not file.is_file():
            result.refused.append(f"{file} is missing; put the corrected mask there.")
        elif sha256_of(file) == row["draft_sha256"]:
            result.waiting.append(image)
        else:
            try:
                doubts = check_corrected(file, locate(manifest, image), work.path / drafts[image][0])
            except ImageError as error:
                result.refused.append(str(error))
                continue
            if doubts and not confirmed:
                result.doubtful.extend(f"{file} {doubt}." for doubt in doubts)
                continue
            taken[image] = file, drafts[image][0], str(row["comment"])
    if not taken:
        return result
    work.switch(REVIEWED)
    names = [sidecar_of(Path(path)).as_posix() for _, path, _ in taken.values()]
    git(work.path, ["checkout", "--quiet", DRAFTS, "--", *names])
    for file, path, comment in taken.values():
        label = read_label(work.path / path)
        if label is None:
            raise DatasetError(f"{path} has no sidecar among the drafts; `cordrift annotate` makes it again.")
        install(file, work.path / path)
        write_label(work.path / path, replace(label, status=FIXED, reviewer=reviewer, reviewed=now, comment=comment))
    work.save(f"{len(taken)} masks corrected by {reviewer}")
    _write(folder, rows[~rows["image"].isin(taken)])
    result.taken.extend(taken)
    return result


def check_corrected(mask_file: Path, image_file: Path, draft_file: Path) -> list[str]:
    """Return what is to be confirmed of a corrected mask, a clause each.

    Raises
    ------
    ImageError
        It cannot be read, lies on another grid than the image, is empty, or has values that no mask has.
    """
    image = read(image_file)
    mask = read_on_grid(mask_file, image, image_file)
    faults = faults_of_values(mask)
    if faults:
        raise ImageError(f"{mask_file} {faults[0].message}; expected {faults[0].expected}.")
    body = mask.data >= 0.5 if not nearly_binary(mask.data) else mask.data > 0
    if not body.any():
        raise ImageError(f"{mask_file} is empty; expected the corrected mask of {image_file.name}.")
    doubts = []
    labels, count = ndimage.label(body, np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(labels.ravel())[1:]
        doubts.append(f"has {count} separate pieces; the largest holds {sizes.max() / sizes.sum():.1%} of the voxels")
    draft = read_on_grid(draft_file, image, image_file)
    before = draft.data >= 0.5
    dice = 2 * float((body & before).sum()) / int(body.sum() + before.sum())
    if dice < LEAST_DICE:
        doubts.append(f"has a Dice of {dice:.2f} with the draft, so that one of the two misses the cord")
    change = area_change(mask, draft)
    if abs(change) > MOST_CHANGE:
        doubts.append(f"changes the mean area of the slices by {change:+.0%} against the draft")
    return doubts


def area_change(mask: Volume, draft: Volume) -> float:
    """Return the relative change of the mean area, over the slices that both masks hold; NaN where there are none."""
    both = mask.data.any(axis=(0, 1)) & draft.data.any(axis=(0, 1))
    if not both.any():
        return float("nan")
    new, old = (float(one.data[:, :, both].sum()) for one in (mask, draft))
    return new / old - 1
