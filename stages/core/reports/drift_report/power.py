"""What a rule would do, as a figure and as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from ...drift.power.observed import Observed
from ...drift.power.plan import SIZES, Row, Suggestion, caught
from ...drift.rule.settings import Compare
from ...pages.canvas import BLUE, MARGIN, STYLE, new_figure
from .wording import number

#: The chances of being refused that a shift is given for.
CHANCES = (0.80, 0.95)


def power_figure(rows: Sequence[Row], rule: Compare) -> Figure:
    """Draw the chance to pass over the shift, and over the number of participants of an unchanged version."""
    kinds = {row.what.removesuffix(", curve") for row in rows if row.what.endswith(", curve")}
    styles = {"every contrast": ("o-", "every contrast moves"), "one contrast": ("s--", "one contrast moves")}
    with mpl.rc_context(STYLE):
        figure = new_figure(7.6, 3.4)
        left, right = figure.subplots(1, 2, sharey=True)
        for kind in sorted(kinds):
            mine = sorted((row for row in rows if row.what == f"{kind}, curve"), key=lambda row: row.shift_mm2)
            style, label = styles[kind]
            left.plot([r.shift_mm2 for r in mine], [r.passes for r in mine], style, color=BLUE, ms=4, label=label)
        left.axvspan(0, rule.primary.margin_pooled_mm2, color=MARGIN, lw=0, zorder=0)
        left.set(xlabel="true shift (mm²); green: pooled margin", ylabel="chance to pass", ylim=(-0.03, 1.03))
        left.legend(fontsize=8)
        sizes = sorted((row for row in rows if row.what == "participants"), key=lambda row: row.participants)
        right.plot([r.participants for r in sizes], [r.passes for r in sizes], "o-", color=BLUE, ms=4)
        for goal in (0.8, 0.9):
            right.axhline(goal, color="#6b727a", lw=0.8, ls=":")
        right.set_xlabel("participants; nothing moved, heavy tails")
    return figure


def say(rows: Sequence[Row], suggested: Sequence[Suggestion], observed: Observed | None, rule: Compare) -> str:
    """Return what the simulation found, as text.

    Parameters
    ----------
    rows : what came of every truth
    suggested : margins and numbers of participants
    observed : the lab's own differences; None where those of the literature stand for them
    rule : that was simulated
    """
    lines = _data(observed)
    if observed is not None and observed.participants < rule.min_participants:
        lines.append(
            f"note: with {observed.participants} participants nothing passes, because the rule asks for "
            f"{rule.min_participants}"
        )
    lines += ["", "Nothing moved:  (range over the shapes of noise, ± Monte-Carlo error)"]
    for judges in (2, 1):
        mine = [row for row in rows if row.what == "unchanged" and row.judges == judges]
        lines.append(
            f"  {judges} judge(s): passes {_range(mine, 'passes')} ± {max(row.error for row in mine):.3f}, drifted "
            f"{_range(mine, 'drifted')}, quality not shown {_range(mine, 'not_shown')}"
        )
    lines += ["", "Moved by a margin, two judges:"]
    for what in ("every contrast", "one contrast"):
        mine = [row for row in rows if row.what == what]
        if mine:
            shift = abs(mine[0].shift_mm2)
            refused = ", ".join(f"{100 * chance:.0f} % from {_mm2(caught(rows, what, chance))}" for chance in CHANCES)
            lines.append(f"  {what} ±{shift:g} mm²: passes {_range(mine, 'passes')}; refused in {refused}")
    lines += ["", "What would let an unchanged version through more often, in two ways:"]
    for one in suggested:
        margins = (
            f"margins of ±{one.pooled_mm2:.2f} mm² pooled and ±{one.contrast_mm2:.2f} by contrast hold every row"
            if math.isfinite(one.pooled_mm2)
            else f"no margins within the bounds (±{rule.bound_pooled_mm2:g} and ±{rule.bound_contrast_mm2:g} mm²) hold "
            "every row"
        )
        people = f"{one.participants} participants" if one.participants else f"more than {SIZES[-1]} participants"
        lines.append(f"  in {100 * one.goal:.0f} % of cases: {margins}; or, with the margins as they are, {people}")
    return "\n".join(lines)


def _data(observed: Observed | None) -> list[str]:
    if observed is None:
        return [
            "No past versions: planned by the literature (49 people at 30 sites, SD of a difference 1.3 mm²,",
            "correlation between contrasts 0, 0.3 and 0.6, ICC of sites 0.3). Give your own with --pair OLD NEW.",
        ]
    n = observed.participants
    lines = [f"{observed.pairs} pair(s) of versions, {n} participants; SD of the paired differences, mm²:"]
    lines += [
        f"  {name}: {sd:.2f}, planned with {plan:.2f} (upper 80 % limit)"
        for name, sd, plan in zip(observed.contrasts, observed.sd_mm2, observed.sd_plan_mm2, strict=True)
    ]
    sites = (
        f"ICC of sites {number(observed.icc)}, by which the variance of a mean is {number(observed.design_effect)}-fold"
        if observed.sites_known
        else "sites not known: everyone counts as a site (--participants names their table)"
    )
    lines += [
        f"  participants' means: {observed.sd_pooled_mm2:.2f}, skewness {number(observed.skewness)}",
        f"  correlation between contrasts {observed.correlation:.2f}; {sites}",
    ]
    if observed.runner_sd_mm2:
        lines.append(f"  another way of running adds an SD of {observed.runner_sd_mm2:.2f} mm²")
    if not observed.rows:
        lines.append("  too few people with every contrast for a simulation from their own rows")
    return lines


def _range(rows: Sequence[Row], name: str) -> str:
    values = [getattr(row, name) for row in rows]
    low, high = min(values), max(values)
    return f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f}–{high:.3f}"


def _mm2(value: float) -> str:
    return "no shift that was tried" if math.isnan(value) else f"{value:.2f} mm²" if value else "0, unmoved"
