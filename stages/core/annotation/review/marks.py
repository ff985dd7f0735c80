"""``qc.yml``: what a person marked on the page, read as strictly as it comes from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field

from ...base.errors import SettingsError
from ...base.params import Block, validate

#: The marks, in the order in which the page counts them.
PASS, FIX, FAIL = "pass", "fix", "fail"
#: Artifacts that can be named beside a mark, each with its key on the page.
TAGS = (
    "motion",
    "ghosting",
    "low contrast",
    "metal",
    "wrap-around",
    "distortion",
    "field of view",
    "wrong image",
    "other",
)


def _time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Mark(Block):
    """What one person said of one mask.

    Attributes
    ----------
    image : path of the image in the dataset
    image_key, mask_key : content keys of the image and of the mask that the person saw
    mark : pass, fix or fail
    tags : artifacts
    comment : in the person's own words
    when : ISO 8601
    """

    image: Annotated[str, Field(min_length=1)]
    image_key: Annotated[str, Field(min_length=1)]
    mask_key: Annotated[str, Field(min_length=1)]
    mark: Literal["pass", "fix", "fail"]
    tags: list[str] = Field(default=[])
    comment: Annotated[str, Field(max_length=2000)] = ""
    when: Annotated[str, AfterValidator(_time)]


class Review(Block):
    """The marks of one person on one batch.

    Attributes
    ----------
    dataset : name of the entry in the registry
    reviewer : who looked
    images : their marks, one for each image that they marked
    """

    dataset: str
    reviewer: Annotated[str, Field(min_length=1, max_length=100)]
    images: list[Mark]


@dataclass(frozen=True)
class Conflict:
    """An image that two people marked differently: reviewer -> mark."""

    image: str
    marks: dict[str, str]

    def __str__(self) -> str:
        """Return the sentence for a person."""
        said = ", ".join(f"{who} says {mark}" for who, mark in self.marks.items())
        return f"{self.image} is in conflict and stays open: {said}."


def read_review(path: Path) -> Review:
    """Read a file that the page exported.

    Raises
    ------
    SettingsError
        It cannot be read, is no such file, or marks an image twice.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise SettingsError(f"{path} cannot be read ({why}); expected the qc.yml that the page exports.") from error
    if not isinstance(value, dict) or value.pop("schema", None) != 1:
        raise SettingsError(f"{path} is no review of schema 1; expected the qc.yml that the page exports.")
    review: Review = validate(Review, value, str(path), error=SettingsError)
    seen: set[str] = set()
    for mark in review.images:
        if mark.image in seen:
            raise SettingsError(f"{path} marks {mark.image} twice; keep one of the two.")
        seen.add(mark.image)
    return review


def merge(reviews: Sequence[Review]) -> tuple[dict[str, tuple[str, Mark]], list[Conflict]]:
    """Bring the marks of several people together.

    Returns
    -------
    image -> (reviewers, mark) where all who marked it agree; and the conflicts. Of two files of one person the later
    mark counts, so that a file that was exported twice is no conflict.
    """
    by_image: dict[str, dict[str, Mark]] = {}
    for review in reviews:
        for mark in review.images:
            own = by_image.setdefault(mark.image, {})
            before = own.get(review.reviewer)
            if before is None or _moment(before.when) <= _moment(mark.when):
                own[review.reviewer] = mark
    agreed, conflicts = {}, []
    for image, own in sorted(by_image.items()):
        if len({(mark.mark, mark.mask_key, mark.image_key) for mark in own.values()}) > 1:
            conflicts.append(Conflict(image, {who: mark.mark for who, mark in sorted(own.items())}))
        else:
            comments = [mark.comment for mark in own.values() if mark.comment]
            tags = sorted({tag for mark in own.values() for tag in mark.tags})
            last = max(own.values(), key=lambda mark: _moment(mark.when))
            agreed[image] = (
                ", ".join(sorted(own)),
                last.model_copy(update={"comment": " / ".join(comments), "tags": tags}),
            )
    return agreed, conflicts
