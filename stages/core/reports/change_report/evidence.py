"""Part 2, how it was tested: the rule and when it was fixed, the frozen set, the instruments, and the floors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...drift.record.record import Rule
from ...drift.rule.protocol import as_text
from ...model.lineage.manifest import contents
from ..drift_report.rows import floor_rows
from ..drift_report.wording import number, short
from .facts import Facts
from .markdown import NOT_RECORDED, Markdown, bold, heading, link, paragraph, table, words_table

TITLE = "Part 2. How it was tested (Modification Protocol)"
DIGEST = re.compile(r"[0-9a-f]{64}")
#: The settings of segment that decide what a mask is.
DECIDING = ("device", "backend", "step", "mirror", "threshold", "largest_component")


def tested(facts: Facts) -> Iterator[Markdown]:
    """Yield the protocol as it was applied."""
    yield heading(2, TITLE)
    yield _questions(facts)
    yield heading(3, "Fixed beforehand")
    yield from _declared(facts)
    yield heading(3, "Frozen test set")
    yield from _frozen(facts)
    yield heading(3, "What measured")
    yield _instruments(facts)
    yield heading(3, "Floors: what moves when nothing should")
    yield from _floors(facts)


def _questions(facts: Facts) -> Markdown:
    rule = facts.drift.rule
    level = number(100 * (1 - 2 * rule.alpha), 0)
    said = (
        f"Two questions. Did the measured cord area stay? Yes, if the {level} % interval of the mean paired difference "
        f"lies inside the margin of every contrast and inside ±{number(rule.margin_pooled_mm2)} mm² pooled, missing "
        f"cases at their worst, with at least {rule.min_participants} participants (two one-sided tests). Did the "
        f"quality stay? Yes, if the spread over contrasts (CSA STD) grows by less than {rule.csa_std_margin_mm2:g} mm² "
        f"and the error against the ground truth by less than {rule.csa_error_margin_mm2:g} mm², the masks cover as "
        f"much, and at most {rule.failures_new_max} cases fail that did not fail before. Two judges: the champion (the "
        "version in use) and the anchor (the last one that a person accepted); the worse verdict counts. In full:"
    )
    return paragraph(said, Markdown(f"{link('docs/drift.md', facts.protocol)}."))


def _declared(facts: Facts) -> Iterator[Markdown]:
    declared, used = facts.drift.declared, facts.drift.used
    again = f"This frozen set has now been used for {used} version(s)."
    if not declared:
        yield paragraph(bold("When the rule was fixed is not recorded."), again)
        yield words_table(("", "now"), _rule(facts.drift.rule))
        return
    if not declared.when:
        yield paragraph(bold("The rule was recorded nowhere before the results: history was offline."), again)
    elif declared.before_results:
        yield paragraph(f"Recorded in MLflow on {declared.when}, before the release was measured.", again)
    else:
        late = f"Recorded in MLflow on {declared.when}, when the release had results already."
        yield paragraph(bold(late), again)
    if declared.changed:
        yield paragraph(bold(f"Changed since: {', '.join(declared.changed)}. Nothing is called equivalent then."))
    rows = []
    for row in declared.items:
        was, now = (_short(text) or "nothing" for text in (row.declared, row.now))
        changed = row.name in declared.changed
        rows.append((row.name, was, bold(f"{now} (changed)") if changed else "the same"))
    yield words_table(("", "declared", "now"), rows)


def _rule(rule: Rule) -> list[tuple[str, str]]:
    """Return the rule by which the release was judged, name and value as text."""
    values = rule.model_dump(exclude_unset=True, exclude={"metrics"})
    rows = [(name, as_text(value)) for name, value in values.items()]
    return sorted([*rows, *((f"metric {metric.name}", metric.role) for metric in rule.metrics)])


def _short(text: str) -> str:
    """Return a digest by its first digits, and any other text as it is."""
    return short(text) if DIGEST.fullmatch(text) else text


def _frozen(facts: Facts) -> Iterator[Markdown]:
    rows = []
    for pin in facts.pins:
        people = {case.participant for case in pin.cases}
        rows.append((pin.dataset, pin.tag, short(pin.commit), pin.licence, str(len(people)), str(len(pin.cases))))
    head = ("dataset", "tag", "commit", "licence", "participants", "images")
    yield table(head, rows, words=(1, 2, 3))
    drift = facts.drift
    yield paragraph(
        f"Digest of the frozen set: {short(drift.candidate.frozen)}. Contrasts: {', '.join(drift.contrasts)}. "
        f"Monitored range: {drift.range}."
    )
    yield paragraph(seen(facts))


def seen(facts: Facts) -> str:
    """Say whether the new version was trained on test images, by their content; in bold if it was."""
    if facts.new.training is None:
        return (
            f"Whether {facts.new_name} was trained on test images cannot be said: its training data are {NOT_RECORDED}."
        )
    trained = contents(case.image_key for case in facts.new.training.cases.values())
    keys = [pin.keys[case.image] for pin in facts.pins for case in pin.cases]
    twice = sum(bool(contents([key]) & trained) for key in keys)
    if twice:
        return bold(f"{facts.new_name} was trained on {twice} of the {len(keys)} test images (the same content).")
    return f"None of the {len(keys)} test images is among the training images of {facts.new_name}, by content."


def _instruments(facts: Facts) -> Markdown:
    candidate, settings = facts.drift.candidate, facts.settings.model_dump()
    rows = [("ruler", short(candidate.ruler)), ("inference settings", short(candidate.inference))]
    rows += [(name.replace("_", " "), str(settings[name])) for name in DECIDING]
    return words_table(("", ""), rows)


def _floors(facts: Facts) -> Iterator[Markdown]:
    floors = floor_rows(facts.drift)
    if floors["runner"]:
        head = ("the same bundle on the same images", "n", "mean change, mm²", "mean absolute", "largest")
        rows = [[row[key] for key in ("variant", "n", "mean", "mean_abs", "worst")] for row in floors["runner"]]
        yield table(head, rows)
    else:
        yield paragraph("No other way of running was tried.")
    if floors["seeds"]:
        said = ("the same data and settings, another seed", "participants", "pooled bias, mm²", "CSA STD changed, mm²")
        yield table(said, [[f"seed {row['seed']}", row["n"], row["bias"], row["csa_std"]] for row in floors["seeds"]])
    else:
        yield paragraph("No other seed was trained.")
    if floors["said"]:
        yield paragraph(floors["said"])
