"""What a record of a comparison claims, against what follows from its own numbers.

A record may come from outside, such as from the assets of a release. Whoever reads it computes again what follows.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..record.record import DriftRecord, Judge
from ..versions.version import JUDGES
from .decision import FIRST_VERSION
from .verdict import DRIFT, EQUIVALENT, QUALITY, passes, worst


def contradictions(record: DriftRecord) -> list[str]:
    """Return what in a record does not follow from the rest of it, a clause for each; empty where all of it does.

    A verdict may be worse than its numbers, because the rule was declared late or a shard is missing. It may not be
    better.
    """
    return list(_of_verdict(record)) + [
        clause for judge in record.verdict.judges for clause in _of_judge(record, judge)
    ]


def _of_verdict(record: DriftRecord) -> Iterator[str]:
    verdict = record.verdict
    follows = verdict.drift == FIRST_VERSION or passes(verdict.drift, verdict.quality)
    if verdict.passed != follows:
        yield (
            f"it says passed: {str(verdict.passed).lower()}, and drift {verdict.drift} with quality {verdict.quality} "
            f"{'passes' if follows else 'does not pass'}"
        )
    if verdict.drift == FIRST_VERSION and verdict.judges:
        yield f"it says that it is a first version, and {verdict.judges[0].digest[:12]} judged it"
    if verdict.drift in (FIRST_VERSION, EQUIVALENT) and (record.incomplete or record.offline):
        yield f"it says {verdict.drift}, and a part of the frozen set or the whole history is missing"
    if verdict.drift == EQUIVALENT:
        roles = {role for judge in verdict.judges for role in judge.roles}
        if record.rule.metrics and not set(JUDGES) <= roles:  # one judge was enough before the rule had metrics
            yield f"it says equivalent, and {' and '.join(sorted(set(JUDGES) - roles))} did not judge it"
        if record.declared is not None and record.declared.changed:
            yield f"it says equivalent, and {', '.join(record.declared.changed)} was changed after it was declared"
    judged = [judge.drift for judge in verdict.judges]
    if judged and verdict.drift in DRIFT and worst([*judged, verdict.drift], DRIFT) != verdict.drift:
        yield f"it says {verdict.drift}, and a judge says {worst(judged, DRIFT)}"
    qualities = [judge.quality for judge in verdict.judges]
    if qualities and verdict.quality in QUALITY and worst([*qualities, verdict.quality], QUALITY) != verdict.quality:
        yield f"it says quality {verdict.quality}, and a judge says {worst(qualities, QUALITY)}"


def _of_judge(record: DriftRecord, judge: Judge) -> Iterator[str]:
    name, rule = f"the judge {judge.digest[:12]}", record.rule
    if judge.drift == EQUIVALENT and not judge.rows:
        yield f"{name} says equivalent without a row"
    words = [row.verdict for row in judge.rows]
    if words and judge.drift in DRIFT and worst([*words, judge.drift], DRIFT) != judge.drift:
        yield f"{name} says {judge.drift}, and one of its rows {worst(words, DRIFT)}"
    for row in judge.rows:
        if row.verdict != EQUIVALENT:
            continue
        if row.smallest_margin_mm2 >= row.margin_mm2:  # False where a record from before margins differed has none
            yield (
                f"{name}, {row.contrast}: equivalent, with a margin of {row.margin_mm2:g} mm2 where "
                f"{row.smallest_margin_mm2:g} would be needed"
            )
        if row.n < rule.min_participants:
            yield f"{name}, {row.contrast}: equivalent with n = {row.n}, and {rule.min_participants} are asked for"
        if rule.metrics and row.margin_mm2 > max(rule.bound_pooled_mm2, rule.bound_contrast_mm2):
            yield f"{name}, {row.contrast}: a margin of {row.margin_mm2:g} mm2 is wider than its bound"
    words_q = [row.verdict for row in judge.criteria]
    if words_q and judge.quality in ("same", "better") and not set(words_q) <= {"same", "better"}:
        yield f"{name} says quality {judge.quality}, and one of its criteria {worst(words_q, QUALITY)}"
