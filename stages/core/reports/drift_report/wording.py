"""What the report says: sentences from the comparison's record, ready for the page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ...drift.record.record import Decision, DriftRecord
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
    bias, level = pooled.bias_mm2, number(100 * (1 - drift.alpha), 0)
    if math.isnan(bias):
        return (
            f"{new} and {old} have no participant in common with {drift.min_contrasts} measured contrasts.",
            "Nothing can be said about drift.",
        )
    if abs(bias) < 0.005:
        moved = f"{new} measures the same cord area as {old} at {drift.range} (mean difference {number(bias, 3)} mm²"
    else:
        way = "larger" if bias > 0 else "smaller"
        moved = f"{new} measures the cord {number(abs(bias))} mm² {way} than {old} at {drift.range} ("
        moved += f"{number(pooled.bias_percent, 1)} %"
    low, high = pooled.ci_low_mm2, pooled.ci_high_mm2
    if math.isnan(low):
        return f"{moved}; n = {pooled.n}).", "One participant gives no interval."
    first = f"{moved}; {level} % interval {interval(low, high)} mm²; n = {pooled.n} participants)."
    return first, _position(drift, low, high)


def _position(drift: DriftRecord, low: float, high: float) -> str:
    """Say where the pooled interval lies against the margin.

    ``low`` and ``high`` are replaced by the interval that the verdict asks where that prior judged.
    """
    margin_mm2, level = drift.margin_mm2, number(100 * (1 - drift.alpha), 0)
    judges = [judge for judge in drift.verdict.judges if judge.digest == drift.against]
    judged = next((row for judge in judges for row in judge.rows if row.contrast == POOLED), None)
    if judged and not math.isnan(judged.inner_low_mm2):
        low, high, level = judged.inner_low_mm2, judged.inner_high_mm2, number(100 * (1 - 2 * drift.alpha), 0)
    what = f"{level} % interval ({interval(low, high)})"
    margin = f"the margin of ±{number(margin_mm2)} mm² that was fixed beforehand"
    if -margin_mm2 < low and high < margin_mm2:
        but = "" if drift.verdict.drift == "equivalent" else " That alone is not enough; the reasons stand below."
        return f"Over all contrasts the {what} lies inside {margin}.{but}"
    if low > margin_mm2 or high < -margin_mm2:
        return f"Over all contrasts the {what} lies outside {margin}."
    return f"Over all contrasts the {what} reaches beyond {margin}: the area cannot be said to have stayed inside it."


def reasons(verdict: Decision) -> list[str]:
    """Return the reasons of the verdict; where there is one judge, it is not named in each of them again."""
    names = [f"against {' and '.join(judge.roles)} {judge.label or short(judge.digest)}" for judge in verdict.judges]
    if len(names) != 1:
        return list(verdict.reasons)
    return [reason.removeprefix(names[0]).removeprefix(",").removeprefix(":").strip() for reason in verdict.reasons]


def meaning(verdict: Decision) -> str:
    """Say in a sentence or two what the verdict means to somebody who uses the numbers."""
    said = {
        "first": "There is no earlier version that it could have moved from.",
        "equivalent": "Every mean difference is shown to be smaller than the margin.",
        "drifted": "The measured area moved: a study that uses both versions must convert its values with the factors "
        "below.",
        "inconclusive": "It is not shown that the measured area stayed inside the margin, nor that it moved.",
    }[verdict.drift]
    if verdict.passed:
        return f"{said} It passes the gate."
    return f"{said} It does not pass the gate by itself; a person may accept it, with a reason (cordrift promote)."


def smallest_margin(drift: DriftRecord) -> str:
    """Say which margin would have been passed; empty where nothing was judged."""
    needed, least = drift.verdict.smallest_margin_mm2, drift.rule.min_participants
    if math.isnan(needed):
        return ""
    fewest = min(row.n for row in drift.verdict.rows)
    few = f" With n = {fewest} none passes: {least} participants are asked for." if fewest < least else ""
    return (
        f"The smallest margin that would hold every row's interval is {number(needed)} mm²; the margin that was fixed "
        f"beforehand is {number(drift.margin_mm2)} mm².{few}"
    )


@dataclass(frozen=True)
class Shown:
    """How a version is shown: its name in tables, the label that people know, its role."""

    version: str
    label: str
    role: str
