"""What the report says: sentences from the comparison's record, ready for the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...drift.statistics.bias import POOLED

DASH = "–"


def number(value: object, digits: int = 2) -> str:
    """Write a number with a real minus sign; what is not defined as a dash."""
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return DASH
    text = f"{float(value):.{digits}f}"  # type: ignore[arg-type]
    return (text[1:] if text.startswith("-") and float(text) == 0 else text).replace("-", "−")


def typeset(text: str) -> str:
    """A sentence as people write it: real minus signs, and no line ends between a number and its unit."""
    text = re.sub(r"(?<![^\s(])-(?=[\d ])", "−", text)
    return re.sub(r"(?<=\d) (?=%|mm²)|(?<=n =) (?=\d)|(?<=n) (?== \d)", "\N{NO-BREAK SPACE}", text)


def short(digest: str) -> str:
    """First twelve digits of a digest."""
    return digest[:12]


def shown_versions(drift: dict[str, Any], label: str) -> list[Shown]:
    """How each version is called: its label, with digits of the digest where two labels are the same."""
    names = []
    for version in drift["versions"]:
        role = str(version["role"])
        fixed = {"reference": "ground truth", "candidate": label}.get(role) or str(version["label"])
        # A prior that judges nothing carries the reason in its name, so that no figure shows it without.
        names.append(", ".join([fixed or short(version["version"]), *version["marks"]]))
    return [
        Shown(v["version"], f"{name} ({v['version'][:6]})" if names.count(name) > 1 else name, v["role"])
        for v, name in zip(drift["versions"], names, strict=True)
    ]


def label_of(shown: Sequence[Shown], version: str) -> str:
    """Label of one version."""
    return next(item.label for item in shown if item.version == version)


def extremes(drift: dict[str, Any]) -> str:
    """Say between which contrasts the bias ranges, which a pooled mean can hide; empty when there is no bias."""
    prior = next((record for record in drift["priors"] if record["digest"] == drift["against"]), None)
    found = prior["contrasts"] if prior else {}
    bias = {name: found[name]["bias_mm2"] for name in drift["contrasts"] if name in found}
    bias = {name: value for name, value in bias.items() if value is not None}
    if len(bias) < 2:
        return ""
    low, high = min(bias, key=lambda name: bias[name]), max(bias, key=lambda name: bias[name])
    return f"By contrast it ranges from {number(bias[low])} mm² ({low}) to {number(bias[high])} mm² ({high})."


def headline(drift: dict[str, Any], shown: Sequence[Shown]) -> tuple[str, str]:
    """Say in two sentences what moved: the difference, and where its interval lies against the margin."""
    new = label_of(shown, drift["candidate"]["bundle"])
    where = drift["range"]
    if drift["offline"]:
        return f"{new} was measured without its history.", "History was offline, so nothing can be said about drift."
    if drift["against"] is None:
        n = len(drift["priors"])
        if n == 0:
            return f"{new} is the first version of this series.", "There is no earlier version to compare it with."
        return (
            f"{new} cannot be compared with any of its {n} earlier version(s).",
            "Each was measured on other images or with another ruler; the reasons stand below.",
        )
    prior = next(record for record in drift["priors"] if record["digest"] == drift["against"])
    pooled, old = prior["pooled"], label_of(shown, prior["digest"])
    bias, level = pooled["bias_mm2"], number(100 * (1 - drift["alpha"]), 0)
    if bias is None:
        return (
            f"{new} and {old} have no participant in common with {drift['min_contrasts']} measured contrasts.",
            "Nothing can be said about drift.",
        )
    if abs(bias) < 0.005:
        moved = f"{new} measures the same cord area as {old} at {where} (mean difference {number(bias, 3)} mm²"
    else:
        way = "larger" if bias > 0 else "smaller"
        moved = f"{new} measures the cord {number(abs(bias))} mm² {way} than {old} at {where} ("
        moved += f"{number(pooled['bias_percent'], 1)} %"
    low, high = pooled["ci_low_mm2"], pooled["ci_high_mm2"]
    if low is None:
        return f"{moved}; n = {pooled['n']}).", "One participant gives no interval."
    first = f"{moved}; {level} % interval {number(low)} to {number(high)} mm²; n = {pooled['n']} participants)."
    return first, _position(drift, low, high)


def _position(drift: dict[str, Any], low: float, high: float) -> str:
    """Where the pooled interval lies against the margin: that which the verdict asks, where it asked this prior."""
    margin_mm2, level = drift["margin_mm2"], number(100 * (1 - drift["alpha"]), 0)
    judged = next((row for row in _judged(drift, drift["against"]) if row["contrast"] == POOLED), None)
    if judged and judged["inner_low_mm2"] is not None:
        low, high, level = judged["inner_low_mm2"], judged["inner_high_mm2"], number(100 * (1 - 2 * drift["alpha"]), 0)
    what = f"{level} % interval ({number(low)} to {number(high)})"
    margin = f"the margin of ±{number(margin_mm2)} mm² that was fixed beforehand"
    if -margin_mm2 < low and high < margin_mm2:
        but = "" if drift["verdict"]["drift"] == "equivalent" else " That alone is not enough; the reasons stand below."
        return f"Over all contrasts the {what} lies inside {margin}.{but}"
    if low > margin_mm2 or high < -margin_mm2:
        return f"Over all contrasts the {what} lies outside {margin}."
    return f"Over all contrasts the {what} reaches beyond {margin}: the area cannot be said to have stayed inside it."


def _judged(drift: dict[str, Any], digest: str) -> list[dict[str, Any]]:
    return [row for judge in drift["verdict"]["judges"] if judge["digest"] == digest for row in judge["rows"]]


def reasons(verdict: dict[str, Any]) -> list[str]:
    """The reasons of the verdict; where there is one judge, it is not named in each of them again."""
    judges = verdict["judges"]
    names = [f"against {' and '.join(judge['roles'])} {judge['label'] or short(judge['digest'])}" for judge in judges]
    if len(names) != 1:
        return list(verdict["reasons"])
    return [reason.removeprefix(names[0]).removeprefix(",").removeprefix(":").strip() for reason in verdict["reasons"]]


def meaning(drift: dict[str, Any]) -> str:
    """Say in a sentence or two what the verdict means to somebody who uses the numbers."""
    verdict = drift["verdict"]
    said = {
        "first": "Nothing came before it that it could have moved from.",
        "equivalent": "Every mean difference is shown to be smaller than the margin.",
        "drifted": "The measured area moved: a study that spans both versions converts, with the factors below.",
        "inconclusive": "It is not shown that the measured area stayed inside the margin, nor that it moved.",
    }[verdict["drift"]]
    if verdict["passed"]:
        return f"{said} It passes the gate."
    return f"{said} It does not pass the gate by itself; a person may accept it, with a reason (cordrift promote)."


def smallest_margin(drift: dict[str, Any]) -> str:
    """Say which margin would have been passed; empty where nothing was judged."""
    needed, least = drift["verdict"]["smallest_margin_mm2"], drift["rule"]["min_participants"]
    if needed is None:
        return ""
    fewest = min(row["n"] for judge in drift["verdict"]["judges"] for row in judge["rows"])
    few = f" With n = {fewest} none passes: {least} participants are asked for." if fewest < least else ""
    return (
        f"The smallest margin that would hold every row's interval is {number(needed)} mm²; the margin that was fixed "
        f"beforehand is {number(drift['margin_mm2'])} mm².{few}"
    )


@dataclass(frozen=True)
class Shown:
    """How a version is shown: its name in tables, the label that people know, its role."""

    version: str
    label: str
    role: str
