"""What a rule would do with a lab's data: chances to pass, drifts that are caught, people and margins needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

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
#: Correlations between contrasts that are tried, and the ICC of sites, where a lab has no data of its own.
CORRELATIONS, ICC = (0.3, 0.0, 0.6), 0.3
#: The chances to pass that margins and numbers of participants are given for.
GOALS = (0.8, 0.9)
Progress = Callable[[Sequence["Cell"]], Iterable["Cell"]]


@dataclass(frozen=True)
class Truth:
    """What is simulated, and how often.

    Attributes
    ----------
    what : ``unchanged``, ``every contrast``, ``one contrast``, either of these with ``, curve``, or ``participants``
    shape : of the noise
    judges : 1 or 2
    shift_mm2 : by how much the new version moved
    participants : how many
    runs : how often it is simulated
    """

    what: str
    shape: str
    judges: int
    shift_mm2: float
    participants: int
    runs: int


@dataclass(frozen=True)
class Cell(Truth):
    """A truth with the scenario that makes its cohorts."""

    scenario: Scenario


@dataclass(frozen=True)
class Row(Truth):
    """What came of a truth: shares of its runs.

    Attributes
    ----------
    passes, error : how often the gate let the version through, with the Monte-Carlo error
    equivalent, drifted : how often the drift part said so
    not_shown : how often the quality part said so
    need_80, need_90 : in so many percent of the runs no row needed a larger share of its margin
    """

    passes: float
    error: float
    equivalent: float
    drifted: float
    not_shown: float
    need_80: float
    need_90: float


def truths(rule: Compare, observed: Observed | None) -> tuple[list[Scenario], Compare]:
    """Return the truths in which nothing moved, and the rule for their contrasts and groups.

    Of the watched groups only manufacturers are simulated, and only where they are known. Where a lab has no data of
    its own, the literature's stand for them, with each correlation of ``CORRELATIONS``.
    """
    each = rule.primary.margin_contrast_mm2
    if observed is not None:
        bases = [observed.scenario()]
    else:
        named = tuple(each) if isinstance(each, Mapping) else ()
        usual = Scenario(icc=ICC, named=named, contrasts=len(named) or Scenario.contrasts)
        bases = [usual.with_(correlation=correlation) for correlation in CORRELATIONS]
    known = any(bases[0].vendors) and "manufacturer" in rule.watched
    watched: list[Attribute] = ["manufacturer"] if known else []
    few = min(rule.min_contrasts, bases[0].contrasts)
    primary = rule.primary.model_copy(update={"contrasts": None})
    return bases, rule.model_copy(update={"watched": watched, "min_contrasts": few, "metrics": [primary]})


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
                    out.append(_cell(what, name, _moved(noise, what, sign * margin, rule), sign * margin, runs))
        if number:
            continue
        for what, margin in margins(base, rule).items():
            for share in SHIFTS:
                moved = _moved(base, what, share * margin, rule)
                out.append(_cell(f"{what}, curve", "normal", moved, share * margin, runs // 4))
        for n in SIZES:
            sites = with_participants(n)
            sized = base.with_(sites=sites.sites, vendors=sites.vendors) if base.icc else _alone(base, n)
            out.append(_cell("participants", "t3", sized.with_(tails="t3"), 0.0, runs // 4))
    return out


def margins(base: Scenario, rule: Compare) -> dict[str, float]:
    """Return the two kinds of move, each with its margin: all contrasts together, and the widest contrast alone."""
    one = {} if base.contrasts < 2 else {"one contrast": rule.primary.margin_of(_widest(base, rule))}
    return {"every contrast": rule.primary.margin_pooled_mm2, **one}


def _widest(base: Scenario, rule: Compare) -> str:
    """Name of the contrast with the widest margin: a move of it is the hardest to see."""
    return max(base.names, key=rule.primary.margin_of)


def _moved(base: Scenario, what: str, shift: float, rule: Compare) -> Scenario:
    if what == "every contrast":
        return base.with_(shift_mm2=shift)
    return base.with_(shift_mm2=tuple(shift if name == _widest(base, rule) else 0.0 for name in base.names))


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
    truth: dict[str, Any] = {field.name: getattr(cell, field.name) for field in fields(Truth)}
    need_80, need_90 = (float(np.quantile(one.need_share, goal)) for goal in GOALS)
    return Row(
        **truth,
        passes=one.passes,
        error=one.error(one.passes),
        equivalent=one.equivalent,
        drifted=one.drifted,
        not_shown=one.not_shown,
        need_80=need_80,
        need_90=need_90,
    )


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
    contrast = max(each.values()) if isinstance(each, Mapping) else each
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


def as_record(
    rows: Sequence[Row], suggested: Sequence[Suggestion], observed: Observed | None, rule: Compare
) -> dict[str, Any]:
    """Return what power.json holds; None stands for what is not defined.

    Parameters
    ----------
    rows, suggested : what came of the simulation
    observed : what it was planned by; None for the literature
    rule : that was simulated
    """
    return {
        "observed": None if observed is None else _defined(replace(observed, rows=())),
        "rule": rule.model_dump(exclude={"power"}),
        "suggested": [_defined(one) for one in suggested],
        "rows": [_defined(row) for row in rows],
    }


def _defined(one: Observed | Suggestion | Row) -> dict[str, Any]:
    return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in asdict(one).items()}
