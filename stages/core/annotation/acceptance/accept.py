"""What becomes of the marks: masks that passed go to the reviewed branch, images that failed are excluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...data.clones.programs import call, git
from ...data.datasets.label import FIXED, Label, read_label, sidecar_of, write_label
from ...data.datasets.label import REVIEWED as PASSED
from ..drafts.work import DRAFTS, REVIEWED, Work
from ..review.items import open_drafts
from ..review.marks import FAIL, FIX, PASS, Mark


@dataclass(frozen=True)
class Accepted:
    """What became of the marks.

    Attributes
    ----------
    passed : images whose masks were taken over now
    before : images on which the same was decided before
    failed : image -> reason, to be excluded
    to_fix : image -> (reviewers, mark)
    refused : a sentence for each mark that is of another mask than the present draft
    """

    passed: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    to_fix: dict[str, tuple[str, Mark]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def accept(work: Work, agreed: Mapping[str, tuple[str, Mark]]) -> Accepted:
    """Take over the masks that passed, in one commit, and sort the other marks.

    A mark counts only for the image and the mask that the person saw, by their content keys. The same marks again
    change nothing.

    Parameters
    ----------
    work : the clone with the drafts
    agreed : image -> (reviewers, mark), on which everybody who looked agrees
    """
    held = set.union(*decided_images(work))
    drafts = open_drafts(work)
    result = Accepted()
    passed: dict[str, tuple[str, Label]] = {}
    for image, (who, mark) in agreed.items():
        if image in held or image in work.dataset.exclude_images:
            result.before.append(image)
            continue
        if image not in drafts:
            result.refused.append(f"{image} has no draft on which nobody has decided; `cordrift annotate` makes one.")
            continue
        path, key, label = drafts[image]
        if (mark.mask_key, mark.image_key) != (key, label.source_key):
            result.refused.append(
                f"{image} was drafted again after {who} looked at it: open the page again and mark the present mask."
            )
        elif mark.mark == PASS:
            passed[path] = image, replace(label, status=PASSED, reviewer=who, reviewed=mark.when, comment=mark.comment)
        elif mark.mark == FAIL:
            result.failed[image] = reason(who, mark)
        elif mark.mark == FIX:
            result.to_fix[image] = who, mark
    result.passed.extend(image for image, _ in passed.values())
    if not passed:
        return result
    work.switch(REVIEWED)
    names = [name for path in sorted(passed) for name in (path, sidecar_of(Path(path)).as_posix())]
    git(work.path, ["checkout", "--quiet", DRAFTS, "--", *names])
    for path, (_, label) in passed.items():
        write_label(work.path / path, label)
    people = sorted({label.reviewer for _, label in passed.values()})
    work.save(f"{len(passed)} masks passed by {', '.join(people)}")
    return result


def decided_images(work: Work) -> tuple[set[str], set[str]]:
    """Return the images whose masks people passed, and those whose masks they corrected, pinned or since."""
    if work.has(REVIEWED):
        work.switch(REVIEWED)
    ours = ["git", "-C", str(work.path), "grep", "-lz", "--fixed-strings", '"GeneratedBy": "cordrift"', "--", "*.json"]
    sidecars = call(ours).stdout.decode(errors="surrogateescape").split("\0")
    labels = [read_label(work.path / f"{name.removesuffix('.json')}.nii.gz") for name in sidecars if name]
    passed, corrected = ({one.source for one in labels if one and one.status == status} for status in (PASSED, FIXED))
    return passed, corrected


def reason(who: str, mark: Mark) -> str:
    """Return why an image is excluded, for the registry."""
    said = ", ".join([*mark.tags, *([mark.comment] if mark.comment else [])]) or "no reason given"
    return f"{' '.join(said.split())} ({who}, {mark.when[:10]})"
