"""The comparison of two tables, as text and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...drift.judgement.two_tables import TwoTables
from ...drift.record.record import CRITERIA, Judge, VersionRecord
from ...measures.published.any_table import AnyTable
from ...pages.canvas import png_bytes
from .drawings import draw_differences
from .rows import concordance_rows, conversion_rows
from .wording import interval, number, typeset


def say(found: TwoTables, old: AnyTable, new: AnyTable) -> str:
    """Return what the comparison found, as text for a terminal.

    Parameters
    ----------
    found : the comparison
    old, new : the tables
    """
    drift, rule = found.comparison.drift, found.rule
    judge = drift.verdict.judges[0]
    inner, level = f"{100 * (1 - 2 * rule.alpha):g} %", f"{100 * (1 - rule.alpha):g} %"
    versions: dict[str, VersionRecord] = {one.role: one for one in drift.versions}
    lines = [
        f"{which}  {table.name}: {versions[role].cases} masks of {versions[role].participants} participants, "
        f"{', '.join(drift.contrasts)}, at {drift.range} ({table.layout})"
        for which, role, table in (("OLD", "prior", old), ("NEW", "candidate", new))
    ]
    lines += [f"note: {remark}" for remark in found.remarks]
    lines += ["", *_drift(judge, inner)]
    lines += ["", f"Drift: {judge.drift}."]
    lines += [f"  {typeset(f'{row.contrast}: {row.verdict}. {row.why}')}" for row in judge.rows]
    lines += [
        f"  {typeset(f'{CRITERIA.get(row.criterion, row.criterion)}: {row.verdict}. {row.why}')}"
        for row in judge.criteria
        if row.n
    ]
    csa = found.comparison.conversion
    rows = conversion_rows(csa[csa["metric"] == "csa_mm2"])
    head = ("conversion", "n", "factor", level, "line, mm²", "one person, mm²", "published")
    keys = ("contrast", "n", "factor", "interval", "line", "person", "published")
    lines += ["", *_columns([head, *([row[key] for key in keys] for row in rows)])]
    agreeing = concordance_rows(found.comparison.concordance)
    head_agreement = ("agreement", "n", "limits, mm²", "slope", level, "CCC")
    of_agreement = ("contrast", "n", "limits", "slope", "slope_interval", "ccc")
    lines += ["", *_columns([head_agreement, *([row[key] for key in of_agreement] for row in agreeing)])]
    return "\n".join(lines)


def _drift(judge: Judge, inner: str) -> list[str]:
    head = ("contrast", "n", "sites", "new − old, mm²", inner, "needs", "has", "missing", "verdict")
    rows = [
        (
            row.contrast,
            str(row.n),
            str(row.sites or "?"),
            number(row.bias_mm2),
            interval(row.inner_low_mm2, row.inner_high_mm2),
            number(row.smallest_margin_mm2),
            f"±{number(row.margin_mm2)}",
            f"{row.missing} of {row.cases}",
            row.verdict,
        )
        for row in judge.rows
    ]
    return _columns([head, *rows])


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Set a table in columns of equal width."""
    text = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*text, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in text]


def draw(found: TwoTables) -> dict[str, bytes]:
    """Return the figures as PNG, by name; that of the groups only where they are known."""
    drawings = draw_differences(found.comparison)
    if not found.rule.watched:
        del drawings["subgroups"]
    return {name: png_bytes(drawing.figure) for name, drawing in drawings.items()}
