"""What the report says: sentences from the comparison's record, ready for the page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ...drift.record.record import BiasRow, Decision, DriftRecord
from ...drift.statistics.bias import POOLED

DASH = "–"


def number(value: object, digits: int = 2) -> str:
    """Write a number with a real minus sign; a dash where it is not defined."""
    if pd.isna(value):  # type: ignore[call-overload]
        return DASH
    text = f"{float(value):.{digits}f}"  # type: ignore[arg-type]
    return (text[1:] if text.startswith("-") and float(text) == 0 else text).replace("-", "−")


def interval(low: object, high: object, digits: int = 2) -> str:
    """Write ``low to high``; a dash where it is not defined."""
    return DASH if pd.isna(low) else f"{number(low, digits)} to {number(high, digits)}"  # type: ignore[call-overload]


def typeset(text: str) -> str:
    """Write a sentence as people write it: real minus signs, and no line break between a number and its unit."""
    text = re.sub(r"(?<![^\s(])-(?=[\d ])", "−", text)
    return re.sub(r"(?<=\d) (?=%|mm²)|(?<=n =) (?=\d)|(?<=n) (?== \d)", "\N{NO-BREAK SPACE}", text)


def short(digest: str) -> str:
    """Return the first twelve digits of a digest."""
    return digest[:12]


def shown_versions(drift: DriftRecord, label: str) -> list[Shown]:
    """Return how each version is called: its label, with digits of its digest where two labels are the same.

    ``label`` is the candidate's.
    """
    names = []
    for version in drift.versions:
        fixed = {"reference": "ground truth", "candidate": label}.get(version.role) or version.label
        # A prior that judges nothing carries the reason in its name, so that no figure shows it without.
        names.append(", ".join([fixed or short(version.version), *version.marks]))
    return [
        Shown(one.version, f"{name} ({one.version[:6]})" if names.count(name) > 1 else name, one.role)
        for one, name in zip(drift.versions, names, strict=True)
    ]


def label_of(shown: Sequence[Shown], version: str) -> str:
    """Return the label of one version."""
    return next(item.label for item in shown if item.version == version)


def extremes(drift: DriftRecord) -> str:
    """Say between which contrasts the bias ranges, which a pooled mean can hide; empty when there is no bias."""
    prior = drift.headline_prior
    rows = prior.contrasts if prior else {}
    bias = {name: rows[name].bias_mm2 for name in drift.contrasts if name in rows}
    bias = {name: value for name, value in bias.items() if not math.isnan(value)}
    if len(bias) < 2:
        return ""
    low, high = min(bias, key=lambda name: bias[name]), max(bias, key=lambda name: bias[name])
    return f"By contrast it ranges from {number(bias[low])} mm² ({low}) to {number(bias[high])} mm² ({high})."


def headline(drift: DriftRecord, shown: Sequence[Shown]) -> tuple[str, str]:
    """Say in two sentences what moved: the difference, and where its interval lies against the margin."""
    new, prior = label_of(shown, drift.candidate.bundle), drift.headline_prior
    if drift.offline:
        return f"{new} was measured without its history.", "History was offline, so nothing can be said about drift."
    if prior is None or prior.pooled is None:
        n = len(drift.priors)
        if n == 0:
            return f"{new} is the first version of this series.", "There is no earlier version to compare it with."
        return (
            f"{new} cannot be compared with any of its {n} earlier version(s).",
            "Each was measured on other images or with another ruler; the reasons stand below.",
        )
    pooled, old = prior.pooled, label_of(shown, prior.digest)
    if math.isnan(pooled.bias_mm2):
        return (
            f"{new} and {old} have no participant in common with {drift.rule.min_contrasts} measured contrasts.",
            "Nothing can be said about drift.",
        )
    first = _moved(new, old, drift, pooled)
    if math.isnan(pooled.ci_low_mm2):
        return first, "One participant gives no interval."
    return first, _position(drift, pooled.ci_low_mm2, pooled.ci_high_mm2)


def _moved(new: str, old: str, drift: DriftRecord, pooled: BiasRow) -> str:
    """Say what the pooled mean did; "larger" or "smaller" is said only where the interval excludes 0."""
    bias, low, high = pooled.bias_mm2, pooled.ci_low_mm2, pooled.ci_high_mm2
    level = number(100 * (1 - drift.rule.alpha), 0)
    between = f"{level} % interval {interval(low, high)} mm²; " if not math.isnan(low) else ""
    counted = f"{between}n = {pooled.n} participants"
    if low > 0.0 or high < 0.0:
        way = "larger" if bias > 0 else "smaller"
        return (
            f"{new} measures the cord {number(abs(bias))} mm² {way} than {old} at {drift.range} "
            f"({number(abs(pooled.bias_percent), 1)} % of the mean area of {old}; {counted})."
        )
    if low == high == 0.0:
        return f"{new} measures exactly the areas of {old} at {drift.range} (n = {pooled.n} participants)."
    sign = "+" if bias > 0 else ""
    if math.isnan(low):
        return f"The mean difference {new} − {old} at {drift.range} is {sign}{number(bias)} mm² ({counted})."
    excluded = f"{sign}{number(bias)} mm², and 0 is not excluded"
    return f"The mean difference {new} − {old} at {drift.range} is {excluded} ({counted})."


def _position(drift: DriftRecord, low: float, high: float) -> str:
    """Say where the pooled interval lies against the margin.

    ``low`` and ``high`` are replaced by the interval that the verdict asks where that prior judged.
    """
    margin_mm2, level = drift.rule.margin_pooled_mm2, number(100 * (1 - drift.rule.alpha), 0)
    judges = [judge for judge in drift.verdict.judges if judge.digest == drift.against]
    judged = next((row for judge in judges for row in judge.rows if row.contrast == POOLED), None)
    if judged and not math.isnan(judged.inner_low_mm2):
        low, high, level = judged.inner_low_mm2, judged.inner_high_mm2, number(100 * (1 - 2 * drift.rule.alpha), 0)
    what = f"{level} % interval ({interval(low, high)} mm²)"
    margin = f"the pooled margin of ±{number(margin_mm2)} mm² that was fixed beforehand"
    if -margin_mm2 < low and high < margin_mm2:
        but = "" if drift.verdict.drift == "equivalent" else " That alone is not enough; the reasons stand below."
        return f"Over all contrasts the {what} lies inside {margin}.{but}"
    if low > margin_mm2 or high < -margin_mm2:
        return f"Over all contrasts the {what} lies outside {margin}."
    return f"Over all contrasts the {what} reaches beyond {margin}: the area cannot be said to have stayed inside it."


def groups_that_moved(drift: DriftRecord) -> list[str]:
    """Say which watched groups moved differently from the others, or by a year of disease; for the headline."""
    said = []
    for judge in drift.verdict.judges:
        name = f"{' and '.join(judge.roles)} {judge.label or short(judge.digest)}"
        for watched in judge.watched:
            moved = [group for group in watched.groups if group.name in watched.moved]
            if watched.differs and not moved:
                said.append(f"Against {name}, the groups of {watched.attribute} moved differently.")
            said += [
                f"Against {name}, {watched.attribute} {group.name} by itself moved by {number(group.mean_mm2)} mm² "
                f"({number(100 * (1 - drift.rule.alpha), 0)} % interval {interval(group.low_mm2, group.high_mm2)} mm²; "
                f"n = {group.n}): a year of disease or more."
                for group in moved
            ]
    return said


def reasons(verdict: Decision) -> list[str]:
    """Return the reasons of the verdict; where there is one judge, it is not named in each of them again."""
    names = [f"against {' and '.join(judge.roles)} {judge.label or short(judge.digest)}" for judge in verdict.judges]
    if len(names) != 1:
        return list(verdict.reasons)
    return [reason.removeprefix(names[0]).removeprefix(",").removeprefix(":").strip() for reason in verdict.reasons]


def advice(drift: DriftRecord, new: str, old: str, *, trial: bool = False) -> str:
    """Say in the first sentence of the report what to do with the version: use it, do not use it, or ask.

    Parameters
    ----------
    drift : the record of the version
    new, old : names of the version and of the one that it was compared with; ``old`` is ``""`` where there is none
    trial : whether the version is only tried
    """
    verdict, ask = drift.verdict, "Ask whoever decides about versions in your lab."
    if trial:
        return f"Do not use {new} in studies: it is a trial (register.trial) and no version of the series."
    if drift.accepted and not verdict.passed:
        last = drift.accepted[-1]
        convert = f" Areas of {old} are converted first." if verdict.drift == "drifted" and old else ""
        return f"Use {new}: {last.who} accepted it on {last.when[:10]} ({last.why}).{convert}"
    if verdict.drift == "first":
        return f"Use {new} in new studies, after a look at its failures: there is no version to compare it with."
    if not old:
        return f"Do not use {new} yet: it was compared with no earlier version. {ask}"
    if verdict.passed:
        return f"Use {new}: its areas can stand beside those of {old}."
    if verdict.drift == "drifted":
        return f"Do not use {new} in a study that has areas of {old}: they moved. For new studies, ask who decides."
    if verdict.drift == "equivalent":
        shown = "measures worse" if verdict.quality == "worse" else "is not shown to measure as well"
        return f"Do not use {new} in the place of {old}: it {shown}. {ask}"
    return f"Do not use {new} beside {old} yet: it is not shown that areas stayed the same. {ask}"


def meaning(drift: DriftRecord) -> str:
    """Say in a sentence or two what the verdict means to somebody who uses the numbers."""
    verdict = drift.verdict
    said = {
        "first": "There is no earlier version that it could have moved from.",
        "equivalent": "Every mean difference is shown to be smaller than its margin.",
        "drifted": "The measured area moved: a study that uses both versions must convert its values with the factors "
        "below.",
        "inconclusive": "It is not shown that every measured area stayed inside its margin; the reasons stand below.",
    }[verdict.drift]
    if verdict.passed:
        return f"{said} It passes the gate."
    if drift.accepted:
        return f"{said} It did not pass by itself; a person accepted it."
    return f"{said} It does not pass the gate by itself; a person may accept it, with a reason (cordrift promote)."


def nearest_margin(drift: DriftRecord) -> str:
    """Say which row came nearest to its margin, or left it farthest; empty where nothing was judged."""
    rows = [row for row in drift.verdict.rows if not math.isnan(row.smallest_margin_mm2)]
    if not rows or math.isnan(drift.verdict.margin_share):
        return ""
    row = max(rows, key=lambda one: one.smallest_margin_mm2 / one.margin_mm2)
    least = drift.rule.min_participants
    fewest = min(one.n for one in drift.verdict.rows)
    few = f" With n = {fewest} none passes: {least} participants are asked for." if fewest < least else ""
    where = "inside" if row.smallest_margin_mm2 < row.margin_mm2 else "beyond"
    return (
        f"Of all rows {row.contrast} lies nearest to its margin or farthest beyond it: it needs "
        f"±{number(row.smallest_margin_mm2)} mm², {where} the ±{number(row.margin_mm2)} mm² that were fixed "
        f"beforehand.{few}"
    )


@dataclass(frozen=True)
class Shown:
    """How a version is shown: its name in tables, the label that people know, its role."""

    version: str
    label: str
    role: str
