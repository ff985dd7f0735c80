"""The text that a withdrawal prints: what was done, what is kept and where, and what remains to be done by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...data.datasets.registry import REGISTRY
from .clones import Removed
from .purge import Step
from .traces import Trace


@dataclass
class WithdrawalOutcome:
    """What a withdrawal did and found. It is filled step by step, so that it can be told even if a later step fails.

    Attributes
    ----------
    ids : (dataset, participant) -> why this id belongs to the person, and whether it was excluded just now
    outside : ids in datasets that the registry does not have
    frozen : ids in the frozen set
    removed : what was removed from each clone
    scratch : folders and files of trainings and of `check` that were removed
    rebuilt : names of the stages that ran; None when nothing was to be rebuilt (``--no-rebuild``)
    traces : one for each version and run in MLflow; None when MLflow was not searched
    store : the name of the store that was searched; ``""`` where there is none
    kept : paths of files in this workspace that still hold data of the participant
    bundles : folders of bundles in this workspace that were trained on the data
    source_tables : tables of the source datasets, in the clones, that still have a row of the participant
    steps : what people can do to delete the remaining copies
    problems : one sentence for each step that failed
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
    source_tables: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


#: What people decide after every withdrawal.
_STILL_TO_DO = (
    "Run `dvc repro`. It trains again without the data (days at full size) and replaces the files below data and",
    "reports that are listed above. Until then this workspace holds the old model.",
    "To undo the withdrawal, delete its line in the registry and the folder of the dataset below data/clones.",
)


def outcome_lines(outcome: WithdrawalOutcome) -> Iterator[str]:
    """Yield the whole text, line by line."""
    yield f"Withdrawal of {outcome.participant}: {outcome.reason}"
    for title, part in (
        (f"Left out from now on ({REGISTRY})", _registry(outcome)),
        ("Rebuilt", _rebuilt(outcome)),
        ("Model versions trained on the data", _trained(outcome)),
        ("Masks and measures kept in MLflow, by run", _kept_in_store(outcome)),
        ("Kept in this workspace", outcome.kept or ["nothing"]),
        ("Rows in the tables of the source datasets (the owner of a dataset removes them)", outcome.source_tables),
        ("Still to do", _STILL_TO_DO),
        (
            "To delete the remaining copies (none of these commands was run; what they delete cannot be restored)",
            _numbered(outcome.steps),
        ),
        ("Not done", outcome.problems),
    ):
        text = [f"  {line}" for line in part]
        if text:
            yield from ("", title, *text)


def _registry(outcome: WithdrawalOutcome) -> Iterator[str]:
    for (dataset, participant), (why, new) in sorted(outcome.ids.items()):
        when = "recorded now" if new else "recorded before; the reason of that time stays"
        yield f"{dataset}: {participant} ({why}), {when}"
    for dataset, participant in outcome.outside:
        yield (
            f"{dataset}: {participant} is the same person, but the registry has no dataset {dataset!r}: delete the "
            "data there by hand"
        )
    if outcome.frozen:
        names = ", ".join(f"{participant} of {dataset}" for dataset, participant in outcome.frozen)
        yield (
            f"{names}: in the frozen set. data/frozen.csv is not changed, so that the data can never be used for "
            "training. The frozen set is smaller from now on: earlier versions are compared on the participants that "
            "both versions have."
        )


def _rebuilt(outcome: WithdrawalOutcome) -> Iterator[str]:
    if outcome.rebuilt is None:
        yield (
            "nothing, because of --no-rebuild: clones and outputs still hold the data. Run the same command without "
            "this option to remove them."
        )
        return
    for one in outcome.removed:
        yield f"{one.clone}: {one.files} files and {one.objects} annex objects removed"
        if one.shared:
            yield f"{one.clone}: content kept, because these files of others have the same: {', '.join(one.shared)}"
        if one.in_git:
            yield (
                f"{one.clone}: {one.in_git} versions of files stay in the git history of the clone and of its source, "
                "because git itself stores them"
            )
    checked = [path for path in outcome.scratch if path.suffix == ".json"]
    yield from (f"{path}: removed" for path in outcome.scratch if path not in checked)
    if checked:
        yield f"{checked[0].parents[1]}: the results of `check` for {len(checked)} images removed"
    if outcome.rebuilt:
        yield f"dvc repro --single-item {' '.join(outcome.rebuilt)}"
    else:
        yield "no stage, because none had an output"


def _trained(outcome: WithdrawalOutcome) -> Iterator[str]:
    for folder in outcome.bundles:
        yield f"{folder} of this workspace, and the trained weights from which it was made"
    if outcome.traces is None:
        yield "unknown: the store was not searched (the reason is given under `Not done`)"
        return
    if not outcome.store:
        yield "none in MLflow: there is no store, so no version was registered from this workspace"
        return
    trained = [trace for trace in outcome.traces if trace.trained]
    for trace in trained:
        yield f"{trace.version.name}, run {trace.version.run_id}: {_cases(trace)}"
    yield f"{len(trained)} of {len(outcome.traces)} in {outcome.store}"
    for trace in outcome.traces:
        if trace.problem:
            yield f"unknown: {trace.problem}"


def _cases(trace: Trace) -> str:
    parts = [
        f"{len(names)} cases {how} ({', '.join(names)})"
        for names, how in ((trace.by_name, "by name"), (trace.by_content, "by content, under another name"))
        if names
    ]
    return "; ".join(parts)


def _kept_in_store(outcome: WithdrawalOutcome) -> Iterator[str]:
    for trace in outcome.traces or ():
        for path in trace.kept:
            yield f"run {trace.version.run_id}: {path}   {trace.version.name}"


def _numbered(steps: Iterable[Step]) -> Iterator[str]:
    for number, step in enumerate(steps, start=1):
        yield f"{number}. {step.what}"
        yield from (f"     {command}" for command in step.commands)


def conclusion(problems: Sequence[str]) -> str:
    """Return the sentence that ends a withdrawal of which some steps failed."""
    return (
        f"the participant is left out from now on, but {len(problems)} part(s) of the withdrawal were not done: "
        f"{' '.join(problems)} Remove the cause and run the same command again."
    )
