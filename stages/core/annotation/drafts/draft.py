"""Draft masks of the images of a dataset that have none, and commit them on the branch of the drafts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SettingsError, did_you_mean
from ...data.datasets.label import AUTOMATIC, Label, read_label, write_label
from ...data.datasets.manifest import Case, Manifest, locate
from ...data.datasets.selection import mask_path
from ...images.volumes import read
from ...model.bundle.content import Bundle
from ...model.localisation.search import make_search
from ...model.own_images.batch import Job, Segmented, segment_images
from ...model.segmentation.predictor import inference_digest
from ...model.segmentation.settings import Segment
from .work import DRAFTS, REVIEWED, Work, install

#: Where the masks of a model lie before they are committed, with their probabilities: a second run does the rest.
STAGING = Path("data/scratch/annotate")


@dataclass(frozen=True)
class Drafted:
    """What became of the images of a dataset.

    Attributes
    ----------
    new, kept : how many got a draft now, and how many had one of the same model and image
    lacks : a sentence for each image without a draft
    """

    new: int
    kept: int
    lacks: list[str]


def draft(
    work: Work,
    manifest: Manifest,
    models: Mapping[str, Bundle],
    settings: Segment,
    now: str,
    say: Callable[[str], object],
) -> Drafted:
    """Segment the images of a manifest and commit their masks with sidecars on the branch of the drafts.

    A draft of the same model, settings and image is kept. A draft of another model is replaced: it stays in the
    history of the branch. A mask that a person passed or corrected is on the other branch and is not drafted again.

    Parameters
    ----------
    work : the clone in which drafts are committed
    manifest : the images without masks, fetched
    models : pathology or contrast -> the model for its images; ``""`` for all others. Of an image with both, the
        pathology decides
    settings : how the models are applied
    now : when, ISO 8601
    say : receives a line about each commit

    Raises
    ------
    SettingsError
        A name that is neither the pathology of a participant nor a contrast of an image.
    """
    pathology = {person.participant: person.pathology for person in manifest.participants}
    cases = manifest.case_list()
    contrasts = {case.contrast for case in cases}
    unknown = sorted(set(models) - {""} - set(pathology.values()) - contrasts)
    if unknown:
        known = sorted(set(pathology.values()) - {""})
        raise SettingsError(
            f"--model-for names {unknown[0]!r}{did_you_mean(unknown[0], [*known, *sorted(contrasts)])}, and no image "
            f"without a mask has this contrast or pathology; they have the contrasts {', '.join(sorted(contrasts))} "
            f"and the pathologies {', '.join(known) or '(none in participants.tsv)'}."
        )
    done = _decided(work)
    work.switch(DRAFTS)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        keys = (pathology.get(case.participant, ""), case.contrast)
        if mask_path(work.dataset, case) not in done:
            groups.setdefault(next((key for key in keys if key in models), ""), []).append(case)
    result = Drafted(0, 0, [])
    for key, group in sorted(groups.items()):
        if unseen := sorted({case.contrast for case in group} - models[key].contrasts) if models[key].contrasts else []:
            say(
                f"{manifest.dataset}: the bundle {models[key].digest[:12]} was trained on no image of "
                f"{', '.join(unseen)}; look at its drafts with care, or name another model: --model-for "
                f"{unseen[0]}=starter"
            )
        one = _draft_group(work, manifest, group, models[key], settings, now, say)
        result = Drafted(result.new + one.new, result.kept + one.kept, result.lacks + one.lacks)
    return result


def _decided(work: Work) -> set[str]:
    """Return the masks that people passed or corrected."""
    if not work.has(REVIEWED):
        return set()
    work.switch(REVIEWED)
    return set(work.masks())


def _draft_group(
    work: Work,
    manifest: Manifest,
    cases: Sequence[Case],
    bundle: Bundle,
    settings: Segment,
    now: str,
    say: Callable[[str], object],
) -> Drafted:
    series = {"bundle": bundle.digest, "inference": inference_digest(settings)}
    todo = [case for case in cases if not _has_draft(work, manifest, case, series)]
    kept = len(cases) - len(todo)
    if not todo:
        return Drafted(0, kept, [])
    images = [locate(manifest, case.image) for case in todo]
    stems = [case.image.removesuffix(".gz").removesuffix(".nii") for case in todo]
    folder = STAGING / manifest.dataset / f"{series['bundle'][:12]}-{series['inference'][:12]}"
    # Masks in this folder are a cache: one of an image that has changed since may be replaced.
    job = Job(
        folder, series, settings.threshold, soft=True, force=True,
        regions=bundle.regions, scheduler=settings.scheduler, threads=settings.threads,
    )  # fmt: skip
    results = segment_images(images, stems, job, lambda: make_search(bundle, settings))
    lacks = [one.lack for one in results if one.lack]
    label = Label(AUTOMATIC, "", "", series["bundle"], series["inference"], now, bundle.generation)
    new = 0
    for case, one in zip(todo, results, strict=True):
        new += _install_draft(work, manifest, case, one, label)
    if new:
        doubtful = sum(bool(one.doubts) for one in results if not one.lack)
        names = Counter(case.contrast for case, one in zip(todo, results, strict=True) if not one.lack)
        said = ", ".join(f"{count} {contrast}" for contrast, count in sorted(names.items()))
        commit = work.save(f"Drafts of {new} masks by the bundle {series['bundle'][:12]}: {said}")
        say(
            f"{manifest.dataset}: {new} drafts by {series['bundle'][:12]} ({said}), {doubtful} in doubt ({commit[:12]})"
        )
    return Drafted(new, kept, lacks)


def _has_draft(work: Work, manifest: Manifest, case: Case, series: Mapping[str, str]) -> bool:
    label = read_label(work.path / mask_path(work.dataset, case))
    wanted = (manifest.keys[case.image], series["bundle"], series["inference"])
    return label is not None and (label.source_key, label.bundle, label.inference) == wanted


def _install_draft(work: Work, manifest: Manifest, case: Case, one: Segmented, label: Label) -> bool:
    """Put a mask into the clone; return whether there was one."""
    target = work.path / mask_path(work.dataset, case)
    if one.lack:
        return False
    install(one.masks["binary"], target)
    key = manifest.keys[case.image]
    doubts = tuple(doubt.replace(str(one.image), case.image) for doubt in (*one.warnings, *one.doubts))
    bits = uncertainty(read(one.masks["soft"]).data)
    write_label(target, replace(label, source=case.image, source_key=key, doubts=doubts, uncertainty=bits))
    return True


def uncertainty(soft: NDArray[np.float32]) -> float:
    """Return the binary entropy of the probabilities of cord, summed over the image, per voxel of cord, in bits.

    It is 0 for a mask without any doubt. Larger voxels have more border per voxel, so that it compares images of one
    contrast and grid better than others. NaN where there is no cord.

    Parameters
    ----------
    soft : (nx, ny, nz) probability of cord, 0 to 1
    """
    p = soft[(soft > 0) & (soft < 1)].astype(np.float64)
    bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    cord = float(soft.sum())
    return float(bits.sum()) / cord if cord > 0 else math.nan
