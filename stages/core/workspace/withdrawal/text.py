"""A withdrawal as text: what was done, what is kept, what is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...data.datasets.registry import REGISTRY
from .clones import Removed
from .purge import Step
from .traces import Trace


@dataclass
class Done:
    """What a withdrawal did and found; filled step by step, so that a failure leaves the rest to be told.

    Attributes
    ----------
    ids : (dataset, participant) with why it is one of the person's, and whether it was recorded now
    outside : ids of datasets that the registry does not have
    bundles : folders of bundles in this workspace that were trained on the data
    sources : tables of the source datasets, in the clones
    rebuilt : stages that ran; None when nothing was to be rebuilt (``--no-rebuild``)
    traces : of every version searched; None when the store was not searched
    problems : sentences, one for each part that failed
    """

    participant: str
    reason: str
    ids: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)
    outside: list[tuple[str, str]] = field(default_factory=list)
    frozen: list[tuple[str, str]] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    scratch: list[Path] = field(default_factory=list)
    rebuilt: list[str] | None = None
    traces: list[Trace] | None = None
    store: str = ""
    kept: list[str] = field(default_factory=list)
    bundles: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


#: What only people can decide.
_REST = (
    "`dvc repro` retrains without the data (days at full size), and makes what is listed above under data and reports",
    "again. Until then the model of this workspace is the one from before.",
    "To take a withdrawal back: remove its line from the registry, and the dataset's folder below data/clones.",
)


def lines(done: Done) -> Iterator[str]:
    """Yield the whole text."""
    yield f"Withdrawal of {done.participant}: {done.reason}"
    for title, part in (
        (f"Left out from now on ({REGISTRY})", _registry(done)),
        ("Rebuilt", _rebuilt(done)),
        ("Model versions trained on the data", _trained(done)),
        ("Masks and measures kept in the store, by run", _store(done)),
        ("Kept in this workspace", done.kept or ["nothing"]),
        ("Rows in the tables of the source datasets, which their owners change", done.sources),
        ("Still to do", _REST),
        ("To purge caches and stores (nothing of this was run; each command deletes for good)", _purge(done.steps)),
        ("Not done", done.problems),
    ):
        text = [f"  {line}" for line in part]
        if text:
            yield from ("", title, *text)


def _registry(done: Done) -> Iterator[str]:
    for (dataset, participant), (why, new) in sorted(done.ids.items()):
        yield f"{dataset}: {participant} ({why}), {'written now' if new else 'was written before; its reason stays'}"
    for dataset, participant in done.outside:
        yield f"{dataset}: {participant} is the same person, but the registry has no dataset {dataset!r}"
    if done.frozen:
        names = ", ".join(f"{participant} of {dataset}" for dataset, participant in done.frozen)
        yield (
            f"{names}: frozen, and data/frozen.csv stays as it is, so that the data never become training data. The "
            "frozen set is smaller now: earlier versions are compared on the participants that both have."
        )


def _rebuilt(done: Done) -> Iterator[str]:
    if done.rebuilt is None:
        yield "nothing (--no-rebuild): the data are where they were; run the same command without it"
        return
    for one in done.removed:
        yield f"{one.clone}: {one.files} files and {one.objects} annex objects removed"
        if one.shared:
            yield f"{one.clone}: content kept that others have too: {', '.join(one.shared)}"
        if one.in_git:
            yield f"{one.clone}: {one.in_git} versions of files of git's own stay in its history, as in the source's"
    remembered = [path for path in done.scratch if path.suffix == ".json"]
    yield from (f"{path}: removed" for path in done.scratch if path not in remembered)
    if remembered:
        yield f"{remembered[0].parents[1]}: what `check` remembered of {len(remembered)} images"
    yield f"dvc repro --single-item {' '.join(done.rebuilt)}" if done.rebuilt else "no stage: no output was there"


def _trained(done: Done) -> Iterator[str]:
    yield from (f"{folder} of this workspace, and what it was made of" for folder in done.bundles)
    if done.traces is None:
        yield "unknown: the store was not searched (see below)"
        return
    trained = [trace for trace in done.traces if trace.trained]
    for trace in trained:
        yield f"{trace.holder.name}, run {trace.holder.run_id}: {_cases(trace)}"
    yield f"{len(trained)} of {len(done.traces)} in {done.store}"
    for trace in done.traces:
        if trace.problem:
            yield f"not known: {trace.problem}"


def _cases(trace: Trace) -> str:
    parts = [
        f"{len(names)} cases {how} ({', '.join(names)})"
        for names, how in ((trace.by_name, "by name"), (trace.by_content, "by content, under another name"))
        if names
    ]
    return "; ".join(parts)


def _store(done: Done) -> Iterator[str]:
    for trace in done.traces or ():
        for path in trace.kept:
            yield f"run {trace.holder.run_id}: {path}   {trace.holder.name}"


def _purge(steps: Iterable[Step]) -> Iterator[str]:
    for number, step in enumerate(steps, start=1):
        yield f"{number}. {step.what}"
        yield from (f"     {command}" for command in step.commands)


def conclusion(problems: Sequence[str]) -> str:
    """Return the sentence that ends a withdrawal of which a part failed."""
    return (
        f"the participant is left out from now on, but {len(problems)} part(s) of the withdrawal were not done: "
        f"{' '.join(problems)} Mend it and run the same command again."
    )
