"""What the verdict does not say: fixed sentences, each of which appears only where the facts demand it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...drift.record.record import PriorRecord
from ..drift_report.wording import number, short
from .facts import Facts
from .markdown import NOT_RECORDED

#: Skewness from which the error rates of the rule are no longer those of docs/drift.md.
SKEWED = 1.0


def limits(facts: Facts) -> list[str]:
    """Return the known limits of this release's assessment, the most important first."""
    found = [*_evidence(facts), *_independence(facts), *_earlier(facts), *_floors(facts)]
    drift = facts.drift
    people = len({(pin.dataset, case.participant) for pin in facts.pins for case in pin.cases})
    scope = f"All of it holds for {drift.range}, {', '.join(drift.contrasts)} and these {people} participants alone."
    return [*found, scope]


def _evidence(facts: Facts) -> Iterator[str]:
    drift, least = facts.drift, facts.drift.rule.min_participants
    if drift.offline:
        yield "History was offline: no earlier version was asked for, so nothing is known of drift."
    fewest = min((row.n for row in drift.verdict.rows), default=least)
    if fewest < least:
        yield (
            f"Too few participants: n = {fewest} where fewest, {least} are asked for; such a row is never equivalent, "
            "and a drift of one group can stay unseen."
        )
    candidate = drift.candidate_version
    lost = {"failed": candidate.failed, f"had no value at {drift.range}": candidate.unmeasured}
    for what, n in lost.items():
        if n:
            yield f"{n} of {candidate.cases} cases {what}; they enter no mean, so the bias says nothing of them."
    if not any(version.role == "reference" for version in drift.versions):
        yield "There is no ground truth, so nothing is said of errors against it."
    silent = [
        (name, what)
        for name, side in ((facts.old_name, facts.old), (facts.new_name, facts.new))
        if side is not None
        for what, there in (("provenance", side.provenance), ("training data", side.training))
        if not there
    ]
    for name, what in silent:
        yield f"The {what} of {name}: {NOT_RECORDED}; what changed is therefore told in part."


def _independence(facts: Facts) -> Iterator[str]:
    declared, used = facts.drift.declared, facts.drift.used
    if not declared or not declared.when:
        yield "When margins and rule were fixed is recorded nowhere: they may have been chosen after the results."
    elif not declared.before_results:
        yield "Margins and rule were recorded when results were there already."
    if declared and declared.changed:
        yield f"Changed after the declaration: {', '.join(declared.changed)}."
    if used > 1:
        yield (
            f"The frozen set has been used for {used} versions: versions are chosen by it, so it is no independent "
            "test any more."
        )


def _earlier(facts: Facts) -> Iterator[str]:
    priors = facts.drift.priors
    imported = [prior for prior in priors if prior.digest in facts.imported]
    if imported:
        yield (
            f"{_names(imported)}: measured by others, with another ruler, and imported as published; shown beside this "
            "version, they judge nothing."
        )
    for mark in ("other ruler", "other frozen set", "other rule"):
        marked = [prior for prior in priors if mark in prior.marks and prior not in imported]
        if marked:
            yield f"{_names(marked)}: measured with {mark.replace('other', 'another')}; shown, they judge nothing."
    whole = [prior for prior in priors if prior.pooled is None]
    if whole:
        yield f"{_names(whole)}: measured at another range, and not compared."
    if priors and not facts.drift.verdict.judges:
        yield "No earlier version is champion or anchor, so nothing judged this one."
    skewed = [row for row in facts.drift.verdict.rows if abs(row.skewness) > SKEWED]
    if skewed:
        yield (
            f"{len(skewed)} row(s) of differences are skewed (skewness beyond ±{SKEWED:g}, such as "
            f"{skewed[0].contrast}): a bias at its margin is called equivalent more often than alpha says then "
            "(docs/drift.md)."
        )


def _floors(facts: Facts) -> Iterator[str]:
    floors, prior = facts.drift.floors, facts.prior
    if not floors.seeds:
        yield "No other seed was trained: how much of a difference is chance of the training is not known."
    if not floors.runner:
        yield "No other way of running was tried: what another machine or tile step moves is not known."
    bias = prior.pooled.bias_mm2 if prior and prior.pooled else math.nan
    for name, moved in (
        ("another way of running the same bundle", floors.runner_mm2),
        ("another seed of the same training", floors.seeds_mm2),
    ):
        if moved > 0 and moved >= abs(bias):  # False where either is not defined
            yield f"{name.capitalize()} moves the area by {number(moved)} mm², no less than the pooled bias here."


def _names(priors: Sequence[PriorRecord]) -> str:
    return ", ".join(prior.label or short(prior.digest) for prior in priors)
