"""Segment images of any folder one after the other: a bad image costs no other one, and a second run does the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...base.errors import ImageError
from ...base.files import sha256_of, whole_file
from ...images.volumes import read
from ..segmentation.masks import mask_paths, sidecar_of, write_description, write_masks
from ..segmentation.predictor import Predict

#: What the validator of BIDS shall not judge: the field keeps the image's own name before ``_label-SC_seg``, where BIDS
#: has ``sub-01_label-SC_dseg``; and table, page and pictures of the command.
NOT_OF_BIDS = ("*_label-SC_seg.*", "*_label-SC_probseg.*", "measures.csv", "index.html", "figures")


@dataclass(frozen=True)
class Segmented:
    """What became of one image.

    Attributes
    ----------
    image : the file
    masks : ``binary``, and ``soft`` where it is written; empty where the image failed
    kept : whether an earlier run had made the masks
    empty : whether no cord was found; the mask is all 0 then
    problem : why the image failed; ``""`` when it did not
    """

    image: Path
    masks: dict[str, Path]
    kept: bool = False
    empty: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Job:
    """What is the same for all images.

    Attributes
    ----------
    folder : where the masks go
    series : digests ``bundle`` and ``inference``
    threshold : voxels with at least this probability belong to the binary mask, in (0, 1)
    soft : whether soft masks are written too
    force : whether masks of another model or of another image are replaced
    """

    folder: Path
    series: dict[str, str]
    threshold: float
    soft: bool
    force: bool


def segment_images(
    images: Sequence[Path], stems: Sequence[str], job: Job, make_predictor: Callable[[], Predict]
) -> list[Segmented]:
    """Segment images, and write their masks with sidecars.

    Parameters
    ----------
    images : NIfTI files
    stems : the paths of their masks in the folder, without ending
    job : what is the same for all
    make_predictor : returns the function that segments a volume; called once, at the first image that needs it
    """
    predict: Predict | None = None
    write_description(job.folder, job.series["bundle"])
    with whole_file(job.folder / ".bidsignore") as part:
        part.write_text("".join(f"{pattern}\n" for pattern in NOT_OF_BIDS), encoding="utf-8")
    results = []
    for image, stem in tqdm(list(zip(images, stems, strict=True)), desc="segment", unit="image", disable=None):
        try:
            earlier = _earlier(image, stem, job)
            if earlier is None:
                predict = predict or make_predictor()
                earlier = _segment(image, stem, job, predict)
        except (ImageError, OSError) as error:
            earlier = Segmented(image, {}, problem=str(error))
        results.append(earlier)
    return results


def _segment(image: Path, stem: str, job: Job, predict: Predict) -> Segmented:
    soft = predict(read(image))
    empty = not bool((soft >= job.threshold).any())
    origin = {"Sources": [str(image)], "SourceSHA256": sha256_of(image), "CordFound": not empty, **job.series}
    kinds = ("binary", "soft") if job.soft else ("binary",)
    names = write_masks(job.folder, stem, image, soft, job.threshold, origin, kinds)
    return Segmented(image, {kind: job.folder / name for kind, name in names.items()}, empty=empty)


def _earlier(image: Path, stem: str, job: Job) -> Segmented | None:
    """Return the masks that an earlier run made of this image with this model and these settings; None without.

    Raises
    ------
    ImageError
        There are other masks in their place, which nobody asked to replace.
    """
    wanted = {kind: job.folder / name for kind, name in mask_paths(stem).items() if kind == "binary" or job.soft}
    there = [path for path in wanted.values() if path.exists()]
    if not there:
        return None
    found = _sidecar(wanted["binary"])
    asked = {**job.series, "Threshold": job.threshold, "SourceSHA256": sha256_of(image)}
    if all(found.get(key) == value for key, value in asked.items()):
        # The sidecar is written before the mask, and the mask under a temporary name: a mask that is there is whole.
        whole = len(there) == len(wanted)
        return Segmented(image, wanted, kept=True, empty=not found.get("CordFound", True)) if whole else None
    if job.force:
        return None
    raise ImageError(
        f"{there[0]} exists, and is of another model, other settings or another image than {image}, or made by hand; "
        "add --force to replace it, or write into another folder (-o)."
    )


def _sidecar(mask: Path) -> dict[str, Any]:
    """Return the JSON beside a mask; empty where there is none that can be read."""
    try:
        value = json.loads(sidecar_of(mask).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
