"""What changed between the training data of two models: pure, on two training manifests.

A case is known by its name first; what is then left over on both sides is paired by the content of its image. Content
is compared by hash and size, so a dataset whose keys were migrated to another hash shows all its images as re-imaged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ...data.datasets.keys import ContentKey
from .manifest import TrainedImage, TrainingData, content

Kind = Literal["added", "removed", "relabelled", "re-imaged", "renamed", "unchanged"]
#: Every kind with what it means, in the order in which they are told.
KINDS: Mapping[Kind, str] = {
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
    """What became of one case; ``before`` is None when it was added, ``after`` when it was removed."""

    kind: Kind
    before: TrainedImage | None
    after: TrainedImage | None

    @property
    def case(self) -> TrainedImage:
        """The case as it is now, or as it was when it is gone."""
        case = self.after or self.before
        assert case is not None  # noqa: S101 - one side is always there
        return case

    @property
    def words(self) -> str:
        """The case on one line."""
        if self.kind != "renamed" or self.before is None:
            return self.case.name
        mask = "" if content(self.before.mask_key) == content(self.case.mask_key) else ", with another mask"
        return f"{self.before.name} -> {self.case.name}{mask}"


def difference(before: TrainingData, after: TrainingData) -> list[Change]:
    """Return what became of every case of both, each exactly once, by kind and name."""
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
    """Pair cases of one image content in order of their names; what finds no partner was removed or added."""
    sides: tuple[dict[ContentKey | str, list[TrainedImage]], ...] = (defaultdict(list), defaultdict(list))
    for side, cases in zip(sides, (old, new), strict=True):
        for case in sorted(cases, key=lambda case: case.name):
            side[content(case.image_key)].append(case)
    changes: list[Change] = []
    for image in sides[0].keys() | sides[1].keys():
        gone, come = (side.get(image, []) for side in sides)
        pairs = min(len(gone), len(come))
        changes += [Change("renamed", *pair) for pair in zip(gone[:pairs], come[:pairs], strict=True)]
        changes += [Change("removed", case, None) for case in gone[pairs:]]
        changes += [Change("added", None, case) for case in come[pairs:]]
    return changes


def table(changes: Iterable[Change]) -> pd.DataFrame:
    """Return one row per case that changed; an empty cell where there is no such side."""
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
    """What one dataset contributes to one model; a count by value, or None where the manifest does not say.

    ``images`` are numbers of images by contrast, site and pathology.
    """

    revision: str
    participants: int
    images: int
    contrasts: Counter[str]
    sites: Counter[str] | None
    pathologies: Counter[str] | None


def composition(data: TrainingData, dataset: str) -> Composition | None:
    """Count what ``data`` holds of a dataset, from its cases; None when it is not among them."""
    if dataset not in data.revisions:
        return None
    cases = [case for case in data.cases.values() if case.dataset == dataset]
    tag, commit = data.revisions[dataset]
    return Composition(
        f"{tag or 'no tag'} ({commit[:12] or 'no commit'})",
        len({case.participant for case in cases}),
        len(cases),
        Counter(case.contrast for case in cases),
        _counted(cases, lambda case: case.site),
        _counted(cases, lambda case: case.pathology),
    )


def _counted(cases: Iterable[TrainedImage], value: Callable[[TrainedImage], str | None]) -> Counter[str] | None:
    values = [value(case) for case in cases]
    return None if None in values else Counter(text or "unknown" for text in values if text is not None)
