"""Part 1, what changed: data, settings, code and libraries of both versions, from their manifests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from ...model.lineage.difference import KINDS, Change, composition, difference
from ...model.lineage.manifest import TrainingData, training_params
from ...model.lineage.text import summary
from ..drift_report.wording import short
from .facts import Facts, Side, as_mapping
from .markdown import NOT_RECORDED, Markdown, bullets, heading, paragraph, words_table

TITLE = "Part 1. What changed (Description of Modifications)"
#: How many cases of a kind are named; `cordrift diff-data` names all.
NAMED = 8
COMMIT = re.compile(r"(\b[0-9a-f]{12})[0-9a-f]{28}\b")


def changes(facts: Facts) -> Iterator[Markdown]:
    """Yield what differs between the two versions; without another version, what the new one was made of."""
    yield heading(2, TITLE)
    yield _compared(facts)
    yield _identity(facts)
    yield heading(3, "Training data")
    yield from _data(facts)
    yield heading(3, "Settings of the training")
    yield from _differing(facts, "settings", settings)
    yield heading(3, "Libraries")
    yield from _differing(facts, "library versions", libraries)


def _compared(facts: Facts) -> Markdown:
    if facts.old is None:
        why = "its history was not asked" if facts.drift.offline else "no earlier version could be"
        if not facts.drift.priors and not facts.drift.offline:
            why = "it is the first version"
        return paragraph(f"{facts.new_name} is compared with nothing: {why}. Below stands what it was made of.")
    prior = facts.prior
    role = f", which was {' and '.join(prior.aliases)}" if prior and prior.aliases else ""
    also = f" {prior.why}" if prior and prior.comparable else ""  # other inference settings; an obstacle is in part 3
    return paragraph(
        f"{facts.new_name} against {facts.old_name}{role}. Only what both manifests say is compared.{also}"
    )


def _versus(facts: Facts, rows: Iterable[tuple[str, str | None, str | None]]) -> Markdown:
    """Return a table of rows (name, old, new); without another version, only name and new."""
    if facts.old is None:
        return words_table(("", facts.new_name), [(name, new or NOT_RECORDED) for name, _, new in rows])
    head = ("", facts.old_name, facts.new_name)
    return words_table(head, [(name, old or NOT_RECORDED, new or NOT_RECORDED) for name, old, new in rows])


def _identity(facts: Facts) -> Markdown:
    def of(side: Side | None) -> list[str | None]:
        if side is None:
            return [None] * 5
        folds = side.folds
        data = [as_mapping(one.get("data")) for one in folds.values()]
        digests = sorted({short(str(one["digest"])) for one in data if "digest" in one})
        counts = sorted({str(one["n_cases"]) for one in data if "n_cases" in one})
        return [short(side.digest), _short(side.code), ", ".join(folds), ", ".join(digests), ", ".join(counts)]

    names = ("bundle", "code revision", "folds", "training data, digest", "training images")
    return _versus(facts, zip(names, of(facts.old), of(facts.new), strict=True))


def _short(code: str | None) -> str | None:
    """Return a code revision with the first 12 digits of its commit; provenance.json has all 40."""
    return code and COMMIT.sub(r"\1", code)


def _data(facts: Facts) -> Iterator[Markdown]:
    new, old = facts.new.training, facts.old.training if facts.old else None
    silent = [name for name, side in _named(facts) if side.training is None]
    if silent:
        also = ": which cases were added, removed or relabelled cannot be said." if facts.old else "."
        yield paragraph(f"The training data of {' and '.join(silent)} are {NOT_RECORDED}{also}")
    known = new or old
    if known is None:
        return
    both = new is not None and old is not None
    if not both and facts.old is not None:
        yield paragraph(f"Those of {facts.new_name if new else facts.old_name}:")
    yield words_table(("dataset", "", "before → after" if both else ""), _datasets(old or known, new or known))
    if new is not None and old is not None:
        yield from _cases(difference(old, new))


def _datasets(old: TrainingData, new: TrainingData) -> Iterator[tuple[str, str, str]]:
    for dataset in sorted(old.revisions.keys() | new.revisions.keys()):
        first = dataset
        for name, text in summary(composition(old, dataset), composition(new, dataset), " → "):
            yield first, name, text
            first = ""


def _cases(found: list[Change]) -> Iterator[Markdown]:
    counts = Counter(change.kind for change in found)
    rows = [(kind, str(counts[kind]), meaning) for kind, meaning in KINDS.items()]
    yield words_table(("cases", "images", ""), rows)
    items = []
    for kind in KINDS:
        words = [change.words for change in found if change.kind == kind]
        if kind != "unchanged" and words:
            more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
            items.append(f"{kind}: {', '.join(words[:NAMED])}{more}")
    yield bullets(items) if items else paragraph("No training image changed.")


def settings(side: Side) -> dict[str, str]:
    """Return the settings of the first fold, which all folds share, by their names in the block ``train`` of params."""
    found = as_mapping(next(iter(side.folds.values()), {}).get("settings"))
    flat = training_params({"settings": found}) if found else {}
    return {name.removeprefix("train."): text for name, text in flat.items()}


def libraries(side: Side) -> dict[str, str]:
    """Return the versions of Python and of the libraries that trained it, and the kind of machine, over all folds."""
    found: dict[str, set[str]] = {}
    for one in side.folds.values():
        own = {**as_mapping(one.get("libraries")), "python": one.get("python"), "machine": one.get("machine")}
        for name, text in own.items():
            if text:
                found.setdefault(str(name), set()).add(str(text))
    return {name: ", ".join(sorted(found[name])) for name in sorted(found)}


def _differing(facts: Facts, what: str, of: Callable[[Side], Mapping[str, str]]) -> Iterator[Markdown]:
    """Yield a table of what differs, and what is the same; where one version records nothing, only a sentence."""
    recorded = {name: of(side) for name, side in _named(facts)}
    silent = [name for name, found in recorded.items() if not found]
    if silent:
        also = f", so that nothing can be said of a change of {what}" if facts.old else ""
        yield paragraph(f"The {what} of {' and '.join(silent)} are {NOT_RECORDED}{also}.")
        return
    new, old = of(facts.new), of(facts.old or facts.new)
    names = sorted(new.keys() | old.keys())
    shown = [name for name in names if new.get(name) != old.get(name)] if facts.old else names
    if shown:
        yield _versus(facts, [(name, old.get(name), new.get(name)) for name in shown])
    if facts.old:
        same = ", ".join(f"{name} {new[name]}" for name in names if name not in shown)
        yield paragraph(f"The same in both: {same or 'none'}.")


def _named(facts: Facts) -> list[tuple[str, Side]]:
    old = [(facts.old_name, facts.old)] if facts.old else []
    return [*old, (facts.new_name, facts.new)]
