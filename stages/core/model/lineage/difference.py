"""The changes between the training data of two models, found from their two training manifests.

Cases of the same name are compared first. The cases that remain on both sides are then paired where their images have
the same content. Content is compared by hash and size, so a dataset whose keys were migrated to another hash shows all
its images as re-imaged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ...data.datasets.keys import ContentKey
from .manifest import TrainedImage, TrainingData, content

ChangeKind = Literal["added", "removed", "relabelled", "re-imaged", "renamed", "unchanged"]
#: The meaning of every kind of change, in the order in which they are listed.
KINDS: Mapping[ChangeKind, str] = {
    "added": "a new case",
    "removed": "a case that is gone",
    "relabelled": "the same image with another mask",
    "re-imaged": "the same case with another image",
    "renamed": "the same image as another case",
    "unchanged": "the same image and mask",
}
#: Columns of the table of changes.
COLUMNS = (
    *("change", "case_before", "case_after", "dataset", "participant", "session", "contrast"),
    *("image_key_before", "image_key_after", "mask_key_before", "mask_key_after"),
)


@dataclass(frozen=True)
class Change:
    """The change of one case; ``before`` is None when it was added, ``after`` when it was removed."""

    kind: ChangeKind
    before: TrainedImage | None
    after: TrainedImage | None

    @property
    def case(self) -> TrainedImage:
        """The case as it is now, or as it was before it was removed."""
        case = self.after or self.before
        assert case is not None  # noqa: S101 - a change has at least one side
        return case

    @property
    def words(self) -> str:
        """The case on one line."""
        if self.kind != "renamed" or self.before is None:
            return self.case.name
        mask = "" if content(self.before.mask_key) == content(self.case.mask_key) else ", with another mask"
        return f"{self.before.name} -> {self.case.name}{mask}"


def difference(before: TrainingData, after: TrainingData) -> list[Change]:
    """Return the change of every case of both manifests, each case exactly once, sorted by kind and name."""
    names = set(before.cases) & set(after.cases)
    changes = [_same_name(before.cases[name], after.cases[name]) for name in names]
    old = [case for name, case in before.cases.items() if name not in names]
    new = [case for name, case in after.cases.items() if name not in names]
    changes += _by_content(old, new)
    order = list(KINDS)
    return sorted(changes, key=lambda change: (order.index(change.kind), change.case.name))


def _same_name(before: TrainedImage, after: TrainedImage) -> Change:
    if content(before.image_key) != content(after.image_key):
        return Change("re-imaged", before, after)
    same = content(before.mask_key) == content(after.mask_key)
    return Change("unchanged" if same else "relabelled", before, after)


def _by_content(old: Iterable[TrainedImage], new: Iterable[TrainedImage]) -> list[Change]:
    """Pair cases whose images have the same content, in the order of their names; the others were removed or added."""
    sides: tuple[dict[ContentKey | str, list[TrainedImage]], ...] = (defaultdict(list), defaultdict(list))
    for side, cases in zip(sides, (old, new), strict=True):
        for case in sorted(cases, key=lambda case: case.name):
            side[content(case.image_key)].append(case)
    changes: list[Change] = []
    for image in sides[0].keys() | sides[1].keys():
        left, came = (side.get(image, []) for side in sides)
        pairs = min(len(left), len(came))
        changes += [Change("renamed", *pair) for pair in zip(left[:pairs], came[:pairs], strict=True)]
        changes += [Change("removed", case, None) for case in left[pairs:]]
        changes += [Change("added", None, case) for case in came[pairs:]]
    return changes


def difference_table(changes: Iterable[Change]) -> pd.DataFrame:
    """Return a table with one row per case that changed. Cells of a side that does not exist are empty."""
    rows = []
    for change in changes:
        if change.kind != "unchanged":
            sides = {"before": change.before, "after": change.after}
            row: dict[str, str] = {"change": change.kind}
            row |= {name: getattr(change.case, name) for name in ("dataset", "participant", "session", "contrast")}
            row |= {f"case_{side}": case.name if case else "" for side, case in sides.items()}
            for key in ("image_key", "mask_key"):
                row |= {f"{key}_{side}": getattr(case, key) if case else "" for side, case in sides.items()}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True)
class Composition:
    """The part of one dataset in the training data of one model.

    Attributes
    ----------
    revision : tag and commit of the dataset, as text
    participants, images : their numbers
    contrasts, sites, pathologies : number of images for each value; None where the manifest does not record it
    """

    revision: str
    participants: int
    images: int
    contrasts: Counter[str]
    sites: Counter[str] | None
    pathologies: Counter[str] | None


def composition(data: TrainingData, dataset: str) -> Composition | None:
    """Count the cases of a dataset in ``data``; None when the model was not trained on that dataset."""
    if dataset not in data.revisions:
        return None
    cases = [case for case in data.cases.values() if case.dataset == dataset]
    tag, commit = data.revisions[dataset]
    return Composition(
        f"{tag or 'no tag'} ({commit[:12] or 'no commit'})",
        len({case.participant for case in cases}),
        len(cases),
        Counter(case.contrast for case in cases),
        _count(cases, lambda case: case.site),
        _count(cases, lambda case: case.pathology),
    )


def _count(cases: Iterable[TrainedImage], value: Callable[[TrainedImage], str | None]) -> Counter[str] | None:
    values = [value(case) for case in cases]
    return None if None in values else Counter(text or "unknown" for text in values if text is not None)
