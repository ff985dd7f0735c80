"""The difference between two sets of training data as text for a terminal: a summary, then some of the cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from .difference import KINDS, Change, Composition, composition
from .manifest import TrainingData

#: Most cases of a kind, and most values of a count, that are shown. The CSV holds all of them.
SHOWN_CASES = 20
SHOWN_VALUES = 8


def difference_lines(
    before: TrainingData, after: TrainingData, changes: Sequence[Change], names: tuple[str, str]
) -> Iterator[str]:
    """Yield the lines of the text.

    Parameters
    ----------
    before, after : training data of the two models
    changes : their difference
    names : how the text calls the two models
    """
    yield f"Training data before: {names[0]}"
    yield f"               after: {names[1]}"
    for dataset in sorted(before.revisions.keys() | after.revisions.keys()):
        yield ""
        yield dataset
        old, new = composition(before, dataset), composition(after, dataset)
        for label, text in summary(old, new):
            yield f"  {label:<12}  {text}"
    counts = Counter(change.kind for change in changes)
    yield ""
    yield "cases"
    for kind, meaning in KINDS.items():
        yield f"  {kind:<12}  {counts[kind]:>6}   {meaning}"
    for kind in KINDS:
        if kind != "unchanged" and counts[kind]:
            yield ""
            yield kind
            named = [change.words for change in changes if change.kind == kind]
            yield from (f"  {text}" for text in named[:SHOWN_CASES])
            if len(named) > SHOWN_CASES:
                yield f"  and {len(named) - SHOWN_CASES} more (all of them with --csv)"


def summary(old: Composition | None, new: Composition | None, to: str = " -> ") -> Iterator[tuple[str, str]]:
    """Yield name and text of each field of a dataset's composition, with ``to`` between old and new values.

    ``old`` or ``new`` is None where that model was not trained on the dataset.
    """

    def values(field: str) -> str:
        was, now = (str(getattr(side, field)) if side else "none" for side in (old, new))
        return was if was == now else f"{was}{to}{now}"

    for field in ("revision", "participants", "images"):
        yield field, values(field)
    for field in ("contrasts", "sites", "pathologies"):
        was, now = (getattr(side, field) if side else Counter() for side in (old, new))
        yield field, _counts(was, now, to)


def _counts(old: Counter[str] | None, new: Counter[str] | None, to: str) -> str:
    """Return the number of values before and after, then the images per value: those that changed come first."""
    sizes = ["not recorded" if side is None else str(len(side)) for side in (old, new)]
    head = sizes[0] if sizes[0] == sizes[1] else to.join(sizes)
    if old is None or new is None:
        return head
    values = sorted(old.keys() | new.keys(), key=lambda value: (old[value] == new[value], value))
    shown = [
        f"{value} {old[value]}" if old[value] == new[value] else f"{value} {old[value]}{to}{new[value]}"
        for value in values
    ]
    more = f", and {len(shown) - SHOWN_VALUES} more" if len(shown) > SHOWN_VALUES else ""
    return f"{head}   ({', '.join(shown[:SHOWN_VALUES])}{more}; images)" if shown else head
