"""Drafts that are accepted without a look: only where those like them that people did look at were nearly all right."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from scipy.stats import binomtest

from ...base.errors import DatasetError
from ...data.clones.programs import git
from ...data.datasets.label import Label, read_label, sidecar_of, write_label
from ...data.datasets.selection import contrast_of
from ..drafts.work import DRAFTS, REVIEWED, Work
from ..review.items import open_drafts
from .accept import decided_images
from .worklist import read_worklist

#: Level of the interval of the share of wrong ones.
CONFIDENCE = 0.95
#: Drafts that can speak for each other: bundle, settings of the inference, contrast.
_Kind = tuple[str, str, str]


@dataclass(frozen=True)
class Unseen:
    """What was accepted without a look.

    Attributes
    ----------
    images : whose drafts were accepted
    said : the evidence, a sentence for each model and contrast
    refused : a sentence for each model and contrast whose drafts wait, because too little is known of them
    """

    images: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def accept_unseen(work: Work, folder: Path, looked_at: Set[str], below: float, most_wrong: float) -> Unseen:
    """Take over drafts that nobody looked at, of which the model was certain, where the evidence is enough.

    A draft counts as certain where nothing speaks against it and its uncertainty is at most ``below``. The evidence are
    the certain drafts of the same model, settings and contrast that people decided on: one that was corrected, is to be
    corrected, or was failed would have been a false accept. The page shows uncertain drafts first, so that people
    looked at the worse ones, and the estimate is on the safe side. The masks keep the status ``automatic``, and
    `prepare.max_unreviewed` counts them.

    Parameters
    ----------
    work : the clone with the drafts
    folder : of the worklist
    looked_at : images that somebody marked, also in conflict: none of them is unseen
    below : bits per voxel of cord
    most_wrong : the interval (95 %, Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404) of the share of false
        accepts must lie below this, 0 to 1

    Raises
    ------
    DatasetError
        No open draft is certain.
    """
    waiting = set(read_worklist(folder)["image"])
    groups: dict[_Kind, list[tuple[str, str, Label]]] = {}
    for image, (path, _, label) in sorted(open_drafts(work).items()):
        if _certain(label, below) and image not in waiting | looked_at:
            groups.setdefault(_kind(work, label), []).append((image, path, label))
    if not groups:
        raise DatasetError(
            f"no open draft of {work.name} has an uncertainty of at most {below:g} bits per voxel of cord and no "
            "doubt; the page shows the uncertainty of each."
        )
    evidence = _evidence(work, waiting, below)
    result, taken = Unseen(), []
    for kind, drafts in groups.items():
        wrong, seen = evidence.get(kind, (0, 0))
        bundle, _, contrast = kind
        share = binomtest(wrong, seen).proportion_ci(CONFIDENCE, method="exact") if seen else None
        known = "" if share is None else f" ({share.low:.1%} to {share.high:.1%} of such drafts are wrong)"
        said = (
            f"of {seen} {contrast} drafts by {bundle[:12]} with an uncertainty of at most {below:g} that people looked "
            f"at, {wrong} were not passed{known}"
        )
        if share is None or share.high > most_wrong:
            result.refused.append(
                f"{len(drafts)} {contrast} drafts wait: {said}, which does not show that at most {most_wrong:.1%} are "
                "wrong. Look at more of them, choose a smaller uncertainty, or allow more with --most-wrong."
            )
            continue
        result.said.append(said)
        taken += [(image, path, replace(label, comment=f"accepted unseen: {said}")) for image, path, label in drafts]
    if taken:
        work.switch(REVIEWED)
        names = [name for _, path, _ in taken for name in (path, sidecar_of(Path(path)).as_posix())]
        git(work.path, ["checkout", "--quiet", DRAFTS, "--", *sorted(names)])
        for _, path, label in taken:
            write_label(work.path / path, label)
        work.save(f"{len(taken)} masks accepted unseen: {'; '.join(result.said)}")
    result.images.extend(image for image, _, _ in taken)
    return result


def _certain(label: Label, below: float) -> bool:
    return not label.doubts and label.uncertainty <= below


def _kind(work: Work, label: Label) -> _Kind:
    return label.bundle, label.inference, contrast_of(work.dataset, label.source)


def _evidence(work: Work, waiting: set[str], below: float) -> dict[_Kind, tuple[int, int]]:
    """Return for each kind how many certain drafts were not passed, and how many people decided on."""
    passed, corrected = decided_images(work)
    not_passed = corrected | set(work.dataset.exclude_images) | waiting
    work.switch(DRAFTS)
    counts: dict[_Kind, tuple[int, int]] = {}
    for path in work.masks():
        label = read_label(work.path / path)
        if label and _certain(label, below) and label.source in passed | not_passed:
            key = _kind(work, label)
            wrong, seen = counts.get(key, (0, 0))
            counts[key] = wrong + (label.source in not_passed), seen + 1
    return counts
