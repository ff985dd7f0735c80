"""What a rule would do with a lab's data: chances to pass, drifts that are caught, people and margins needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..rule.settings import Attribute, Compare
from .observed import Observed
from .rates import Rates, rates
from .scenario import Scenario, Tails, with_participants

#: Seed of the simulation: the same data and rule give the same numbers.
SEED = 1
SIZES = (20, 30, 40, 49, 60, 80, 100, 130, 160, 200)
#: Shifts that are tried, in units of the margin.
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
#: The chances to pass that margins and numbers of participants are given for.
GOALS = (0.8, 0.9)
Progress = Callable[[Sequence["Cell"]], Iterable["Cell"]]


@dataclass(frozen=True)
class Cell:
    """One truth that is simulated.

    Attributes
    ----------
    what : ``unchanged``, ``every contrast``, ``one contrast`` or ``participants``
    shape : of the noise
    judges : 1 or 2
    shift_mm2 : by how much the new version moved
    participants : how many
    runs : how often it is simulated
    scenario : the truth
    """

    what: str
    shape: str
    judges: int
    shift_mm2: float
    participants: int
    runs: int
    scenario: Scenario


@dataclass(frozen=True)
class Row:
    """What came of a cell; shares of its runs, with the Monte-Carlo error of ``passes``."""

    what: str
    shape: str
    judges: int
    shift_mm2: float
    participants: int
    runs: int
    passes: float
    error: float
    equivalent: float
    drifted: float
    not_shown: float
    need_80: float
    need_90: float


def rule_for(rule: Compare, observed: Observed | None) -> Compare:
    """Return the rule for some data: with their contrasts, and of the groups the manufacturers where they are known."""
    known = observed is None or any(observed.vendors)
    watched: list[Attribute] = ["manufacturer"] if known and "manufacturer" in rule.watched else []
    few = rule.min_contrasts if observed is None else min(rule.min_contrasts, len(observed.contrasts))
    primary = rule.primary.model_copy(update={"contrasts": None})
    return rule.model_copy(update={"watched": watched, "min_contrasts": few, "metrics": [primary]})


def cells(bases: Sequence[Scenario], rule: Compare, runs: int) -> list[Cell]:
    """Return the truths to simulate.

    Parameters
    ----------
    bases : truths in which nothing moved, such as one for each correlation that is possible
    rule : whose margins the shifts are measured by
    runs : of each truth at 0 and at a margin; the curves and numbers of participants have a quarter of it
    """
    out = []
    for number, base in enumerate(bases):
        shapes: list[Tails] = ["normal", "t3", *(["observed"] if base.observed else [])]  # type: ignore[list-item]
        for shape in shapes:
            noise = base.with_(tails=shape)
            name = f"{shape}, correlation {base.correlation:.2g}" if shape != "observed" else "own rows"
            out += [_cell("unchanged", name, noise.with_(judges=judges), 0.0, runs) for judges in (1, 2)]
            for what, margin in margins(base, rule).items():
                for sign in (1.0, -1.0):
                    out.append(_cell(what, name, _moved(noise, what, sign * margin), sign * margin, runs))
        if number:
            continue
        for what, margin in margins(base, rule).items():
            for share in SHIFTS:
                moved = _moved(base, what, share * margin)
                out.append(_cell(f"{what}, curve", "normal", moved, share * margin, runs // 4))
        for n in SIZES:
            sites = with_participants(n)
            sized = base.with_(sites=sites.sites, vendors=sites.vendors) if base.icc else _alone(base, n)
            out.append(_cell("participants", "t3", sized.with_(tails="t3"), 0.0, runs // 4))
    return out


def margins(base: Scenario, rule: Compare) -> dict[str, float]:
    """Return the two kinds of move, each with its margin: all contrasts together, and the first contrast alone."""
    each = rule.primary.margin_contrast_mm2
    contrast = each if isinstance(each, float | int) else max(each.values())
    kinds = {"every contrast": rule.primary.margin_pooled_mm2}
    return kinds | ({"one contrast": float(contrast)} if base.contrasts > 1 else {})


def _moved(base: Scenario, what: str, shift: float) -> Scenario:
    one = (shift, *(0.0,) * (base.contrasts - 1))
    return base.with_(shift_mm2=shift if what == "every contrast" else one)


def _alone(base: Scenario, n: int) -> Scenario:
    return base.with_(sites=(1,) * n, vendors=("",) * n)


def _cell(what: str, shape: str, scenario: Scenario, shift: float, runs: int) -> Cell:
    return Cell(what, shape, scenario.judges, shift, sum(scenario.sites), max(runs, 50), scenario)


def simulate(found: Sequence[Cell], rule: Compare, progress: Progress) -> list[Row]:
    """Simulate all truths by the verdict's own code.

    Parameters
    ----------
    found : the truths
    rule : what the made-up cohorts are judged by
    progress : wraps the truths, such as tqdm does
    """
    return [_row(cell, rates(cell.scenario, rule, cell.runs, SEED)) for cell in progress(found)]


def _row(cell: Cell, one: Rates) -> Row:
    needs = [float(np.quantile(one.need_share, goal)) for goal in GOALS]
    return Row(
        cell.what, cell.shape, cell.judges, cell.shift_mm2, cell.participants, cell.runs,
        one.passes, one.error(one.passes), one.equivalent, one.drifted, one.not_shown, needs[0], needs[1],
    )  # fmt: skip


@dataclass(frozen=True)
class Suggestion:
    """What margins a chance to pass asks for.

    Attributes
    ----------
    goal : the chance that every row of an unchanged version lies inside
    pooled_mm2, contrast_mm2 : margins; NaN where they would be wider than the bounds allow
    participants : the fewest of ``SIZES`` with which the rule as it is passes an unchanged version so often; 0 where
        none does
    """

    goal: float
    pooled_mm2: float
    contrast_mm2: float
    participants: int


def suggest(rows: Sequence[Row], rule: Compare) -> list[Suggestion]:
    """Return margins and numbers of participants for each goal; both margins grow by one factor, rounded up to 0.05."""
    unchanged = [row for row in rows if row.what == "unchanged" and row.judges == 2]
    each = rule.primary.margin_contrast_mm2
    contrast = each if isinstance(each, float | int) else max(each.values())
    out = []
    for goal, name in zip(GOALS, ("need_80", "need_90"), strict=True):
        factor = max(getattr(row, name) for row in unchanged)
        pooled, one = (_up(factor * value) for value in (rule.primary.margin_pooled_mm2, contrast))
        wide = not (pooled <= rule.bound_pooled_mm2 and one <= rule.bound_contrast_mm2)
        sizes = [row.participants for row in rows if row.what == "participants" and row.passes >= goal]
        out.append(Suggestion(goal, math.nan if wide else pooled, math.nan if wide else one, min(sizes, default=0)))
    return out


def _up(value: float) -> float:
    return math.ceil(round(value / 0.05, 6)) * 0.05 if math.isfinite(value) else math.nan


def caught(rows: Sequence[Row], what: str, chance: float) -> float:
    """Return the smallest shift (mm2) of the curve that is refused with this chance; NaN where none is.

    It is 0 where a version that has not moved is refused so often.
    """
    curve = sorted((row for row in rows if row.what == f"{what}, curve"), key=lambda row: row.shift_mm2)
    if curve and 1.0 - curve[0].passes >= chance:
        return 0.0
    for before, after in pairwise(curve):
        low, high = 1.0 - before.passes, 1.0 - after.passes
        if low < chance <= high:
            share = (chance - low) / (high - low)
            return before.shift_mm2 + share * (after.shift_mm2 - before.shift_mm2)
    return math.nan
