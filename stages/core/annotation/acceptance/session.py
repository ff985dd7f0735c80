"""One call of `cordrift accept-masks`: marks, corrected masks and masks accepted unseen, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...data.datasets.manifest import Manifest
from ...data.datasets.registry import REGISTRY, entry, load_registry
from ..drafts.work import Work
from ..review.marks import Mark
from .accept import accept
from .revision import exclude_images
from .unseen import accept_unseen
from .worklist import TABLE, take_corrected, write_worklist


@dataclass(frozen=True)
class Wanted:
    """What is to be taken over.

    Attributes
    ----------
    agreed : image -> (reviewers, mark)
    looked_at : all images that somebody marked, also in conflict
    reviewer : who corrected the masks of the worklist; ``""``: none are taken back
    confirmed : whether corrected masks in doubt are taken too
    unseen_below : bits per voxel of cord; None: nothing is accepted unseen
    most_wrong : share of wrong masks among those, 0 to 1
    """

    agreed: Mapping[str, tuple[str, Mark]] = field(default_factory=dict)
    looked_at: frozenset[str] = frozenset()
    reviewer: str = ""
    confirmed: bool = False
    unseen_below: float | None = None
    most_wrong: float = 0.0


def take_over(
    work: Work, manifest: Manifest, wanted: Wanted, folder: Path, now: str, say: Callable[[str], object]
) -> tuple[Work, list[str]]:
    """Take over what is wanted; return the clone with the present entry of the registry, and what was refused.

    Parameters
    ----------
    work : the clone with the drafts
    manifest : the images without masks, fetched
    wanted : what to take
    folder : of the worklist
    now : ISO 8601
    say : receives a line about each thing that was done

    Raises
    ------
    DatasetError
        See :func:`take_corrected` and :func:`accept_unseen`.
    """
    done = accept(work, wanted.agreed)
    exclude_images(REGISTRY, work.name, done.failed)
    work = replace(work, dataset=entry(load_registry(REGISTRY), work.name))
    laid_out = write_worklist(folder, work, manifest, done.to_fix) if done.to_fix else 0
    refused = list(done.refused)
    if wanted.agreed:
        say(
            f"accept-masks: {len(done.passed)} passed, {len(done.failed)} failed and excluded in {REGISTRY}, "
            f"{len(done.to_fix)} to fix, {len(done.before)} decided before"
        )
    if laid_out:
        say(f"accept-masks: {laid_out} masks to correct lie in {folder}; see {TABLE} and commands.txt there")
    if wanted.reviewer:
        fixed = take_corrected(folder, work, manifest, wanted.reviewer, now, confirmed=wanted.confirmed)
        refused += [*fixed.refused, *(f"{text} Look again, then --confirm." for text in fixed.doubtful)]
        say(f"accept-masks: {len(fixed.taken)} corrected masks taken, {len(fixed.waiting)} not corrected yet")
    if wanted.unseen_below is not None:
        unseen = accept_unseen(work, folder, wanted.looked_at, wanted.unseen_below, wanted.most_wrong)
        say(f"accept-masks: {len(unseen.images)} masks accepted unseen")
        for sentence in unseen.said:
            say(f"  {sentence}")
        refused += unseen.refused
    return work, refused
