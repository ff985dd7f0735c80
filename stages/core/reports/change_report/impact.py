"""Part 3, what follows: the verdict, what moved and for whom, how to convert, what failed, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ...drift.statistics.subgroups import EVERYONE
from ..drift_report.rows import bias_rows, conversion_rows, subgroup_rows, version_rows
from ..drift_report.wording import nearest_margin, number
from .facts import Facts
from .limits import limits
from .markdown import Markdown, bold, bullets, heading, paragraph, table

TITLE = "Part 3. Impact (Impact Assessment)"


def impact(facts: Facts) -> Iterator[Markdown]:
    """Yield the verdict with its reasons, and what it means for those who use the numbers."""
    yield heading(2, TITLE)
    yield from _reasons(facts)
    yield from _bias(facts)
    yield heading(3, "Spread, agreement and failures")
    yield _versions(facts)
    yield from _subgroups(facts)
    yield from _conversion(facts)
    yield heading(3, "Known limits")
    yield bullets(limits(facts))


def verdict(facts: Facts) -> Iterator[Markdown]:
    """Yield the verdict, and which measures are missing."""
    found = facts.drift.verdict
    passed = "It passes the gate." if found.passed else "It does not pass the gate by itself; a person may accept it."
    yield paragraph(bold(f"drift: {found.drift}"), bold(f"quality: {found.quality}"), passed)
    if facts.missing:
        yield paragraph(bold("Measures are missing:"))
        yield bullets(map(bold, facts.missing))


def _reasons(facts: Facts) -> Iterator[Markdown]:
    found = facts.drift.verdict
    yield paragraph(f"Drift: {found.drift}; quality: {found.quality}.")
    yield bullets(found.reasons)
    margin = nearest_margin(facts.drift)
    if margin:
        yield paragraph(margin)


def _bias(facts: Facts) -> Iterator[Markdown]:
    if facts.old is None:
        return
    yield heading(3, f"Bias, {facts.new_name} − {facts.old_name}")
    prior, rows = facts.prior, bias_rows(_of(facts.tables.bias, "prior", facts.old.digest))
    if prior and not prior.comparable:
        yield paragraph(bold("This difference judges nothing."), prior.why)
    if not rows:
        yield paragraph("No case was measured by both.")
        return
    level = number(100 * (1 - facts.drift.rule.alpha), 0)
    head = (
        "contrast",
        "new − old, mm²",
        f"{level} % interval",
        f"% of {facts.old_name}",
        "participants",
        "dropped",
        "months of atrophy",
    )
    keys = ("contrast", "bias", "interval", "percent", "n", "dropped", "months")
    yield table(head, [[row[key] for key in keys] for row in rows])
    yield paragraph(
        "Months of atrophy: the atrophy that a study across both versions would wrongly see (positive) or miss "
        f"(negative), at {number(facts.drift.rule.atrophy_mm2_per_year, 1)} mm² a year. Dropped: participants without "
        "enough contrasts measured by both."
    )


def _versions(facts: Facts) -> Markdown:
    head = ("version", "CSA STD, mm²", "participants", "Dice", "CSA error, mm²", "failed", "not covered")
    keys = ("label", "csa_std", "n", "dice", "csa_error", "failed", "unmeasured")
    wanted = {"reference", "candidate"}
    rows = [
        [row[key] for key in keys]
        for version, row in zip(facts.drift.versions, version_rows(facts.drift, facts.shown), strict=True)
        if version.role in wanted or (facts.old and version.version == facts.old.digest)
    ]
    return table(head, rows)


def _subgroups(facts: Facts) -> Iterator[Markdown]:
    """Yield a table of everyone and of the groups whose interval leaves the margin."""
    if facts.old is None:
        return
    new, old = (_of(facts.tables.subgroups, "version", digest) for digest in (facts.new.digest, facts.old.digest))
    margin = facts.drift.rule.margin_pooled_mm2
    out = ~((old["ci_low_mm2"] > -margin) & (old["ci_high_mm2"] < margin)) & old["ci_low_mm2"].notna()
    everyone = old["attribute"] == EVERYONE
    if old.empty:
        return
    yield heading(3, "Groups of participants")
    few = int((old["ci_low_mm2"].isna() & ~everyone).sum())
    yield paragraph(
        f"Of {int((~everyone).sum())} groups the interval of {int((out & ~everyone).sum())} leaves "
        f"the pooled ±{number(margin)} mm²; {few} have fewer than two participants with a difference, and no interval. "
        "Of the watched groups the verdict asks whether they moved differently; no other group judges."
    )
    shown = old[out | everyone]
    new = new.merge(shown[["attribute", "group"]], on=["attribute", "group"])
    level = number(100 * (1 - facts.drift.rule.alpha), 0)
    head = ("group", "", "participants", "CSA STD, mm²", "new − old, mm²", f"{level} % interval", "n")
    keys = ("attribute", "group", "participants", "csa_std", "bias", "interval", "n")
    yield table(head, [[row[key] for key in keys] for row in subgroup_rows(new, shown)], words=(1,))


def _conversion(facts: Facts) -> Iterator[Markdown]:
    if facts.old is None:
        return
    found = _of(facts.tables.conversion, "prior", facts.old.digest)
    rows = conversion_rows(_of(found, "metric", "csa_mm2"))
    if not rows:
        return
    yield heading(3, f"Conversion factors of CSA, {facts.old_name} → {facts.new_name}")
    level = number(100 * (1 - facts.drift.rule.alpha), 0)
    head = ("contrast", "n", "factor", f"{level} % interval", "line, mm²", "one person, mm²", "published")
    keys = ("contrast", "n", "factor", "interval", "line", "person", "published")
    yield table(head, [[row[key] for key in keys] for row in rows], words=(6,))
    yield paragraph(
        f"A study that spans both versions multiplies a CSA of {facts.old_name} by the factor of its contrast, or puts "
        "it on the line, where these are published; both convert means of groups, and one person's CSA is known to the "
        "last but one column. Whether the factor holds over sizes and levels: conversion.csv, which has all metrics."
    )


def _of(frame: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    found: pd.DataFrame = frame[frame[column] == value]
    return found
