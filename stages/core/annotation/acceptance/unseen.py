"""Drafts that are accepted without a look: only where those like them that people did look at were nearly all right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scipy.stats import binomtest

from ...base.errors import DatasetError
from ...data.clones.programs import git
from ...data.datasets.label import Label, read_label, sidecar_of, write_label
from ..drafts.work import DRAFTS, REVIEWED, Work
from ..review.items import open_drafts
from .accept import decided_images
from .worklist import read_worklist

#: Level of the interval of the share of wrong ones.
CONFIDENCE = 0.95


def accept_unseen(work: Work, folder: Path, below: float, most_wrong: float) -> tuple[list[str], str]:
    """Take over drafts that nobody looked at, of which the model was certain; return the images and the evidence.

    A draft counts as certain where nothing speaks against it and its uncertainty is at most ``below``. The evidence are
    the certain drafts of the same models that people decided on: one that was corrected, is to be corrected, or was
    failed would have been a false accept. As the page shows uncertain drafts first, those that were looked at are
    rather the worse ones. The masks keep the status ``automatic``, and `prepare.max_unreviewed` counts them.

    Parameters
    ----------
    work : the clone with the drafts
    folder : of the worklist
    below : bits per voxel of cord
    most_wrong : the interval (95 %, Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404) of the share of false
        accepts must lie below this, 0 to 1

    Raises
    ------
    DatasetError
        No draft is certain, or the drafts that people looked at do not show that so few are wrong.
    """
    waiting = set(read_worklist(folder)["image"])
    chosen = {
        image: (path, label)
        for image, (path, _, label) in open_drafts(work).items()
        if _certain(label, below) and image not in waiting
    }
    if not chosen:
        raise DatasetError(
            f"no open draft of {work.name} has an uncertainty of at most {below:g} bits per voxel of cord and no "
            "doubt; the page shows the uncertainty of each."
        )
    wrong, looked_at = _evidence(work, {label.bundle for _, label in chosen.values()}, waiting, below)
    share = binomtest(wrong, looked_at).proportion_ci(CONFIDENCE, method="exact") if looked_at else None
    said = (
        f"of {looked_at} drafts of the same models with an uncertainty of at most {below:g} that people looked at, "
        f"{wrong} were not passed"
    )
    if share is None or share.high > most_wrong:
        known = "" if share is None else f" ({share.low:.1%} to {share.high:.1%} of such drafts are wrong)"
        raise DatasetError(
            f"{said}{known}, which does not show that at most {most_wrong:.1%} are wrong: look at more of them, choose "
            "a smaller uncertainty, or allow more with --most-wrong. Nothing was accepted unseen."
        )
    said += f" ({share.low:.1%} to {share.high:.1%} of such drafts are wrong)"
    work.switch(REVIEWED)
    names = [name for path, _ in chosen.values() for name in (path, sidecar_of(Path(path)).as_posix())]
    git(work.path, ["checkout", "--quiet", DRAFTS, "--", *sorted(names)])
    for path, label in chosen.values():
        write_label(work.path / path, replace(label, comment=f"accepted unseen: {said}"))
    work.save(f"{len(chosen)} masks accepted unseen: {said}")
    return sorted(chosen), said


def _certain(label: Label, below: float) -> bool:
    return not label.doubts and label.uncertainty <= below


def _evidence(work: Work, bundles: set[str], waiting: set[str], below: float) -> tuple[int, int]:
    """Return how many certain drafts were not passed, and how many people decided on."""
    passed, corrected = decided_images(work)
    failed = set(work.dataset.exclude_images)
    work.switch(DRAFTS)
    labels = [read_label(work.path / path) for path in work.masks()]
    mine = {label.source for label in labels if label and label.bundle in bundles and _certain(label, below)}
    wrong = len(mine & (corrected | failed | waiting))
    return wrong, wrong + len(mine & passed)
