"""How often the whole decision says what, when the truth is known: the verdict's own code on many made-up cohorts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..judgement.evidence import Evidence
from ..judgement.verdict import (
    DRIFT,
    DRIFTED,
    EQUIVALENT,
    NOT_SHOWN,
    QUALITY,
    WORSE,
    judge_numbers,
    passes,
    words,
    worst,
)
from ..rule.settings import Compare
from .scenario import Scenario, draw


@dataclass(frozen=True)
class Rates:
    """Shares of the runs in which the whole decision of all judges said this.

    Attributes
    ----------
    runs : how many
    passes : the gate lets the version through
    equivalent, drifted : the drift part said so
    quality : the quality part lets it through (better or same)
    worse, not_shown : the quality part said so
    groups : the test of a watched group refused
    need_share : largest share of its margin that a row needs, in each run; sorted
    """

    runs: int
    passes: float
    equivalent: float
    drifted: float
    quality: float
    worse: float
    not_shown: float
    groups: float
    need_share: tuple[float, ...]

    def error(self, share: float) -> float:
        """Return the Monte-Carlo standard error of one of these shares."""
        return math.sqrt(max(share * (1.0 - share), 0.25 / self.runs) / self.runs)


def rates(scenario: Scenario, rule: Compare, runs: int, seed: int) -> Rates:
    """Judge many cohorts of a scenario.

    Parameters
    ----------
    scenario : the truth
    rule : by which the cohorts are judged
    runs : how many
    seed : the same seed gives the same rates
    """
    rng, people, metric = np.random.default_rng(seed), scenario.people(), rule.primary.name
    return rates_of((draw(scenario, people, metric, rng) for _ in range(runs)), rule)


def rates_of(cohorts: Iterable[list[Evidence]], rule: Compare) -> Rates:
    """Judge cohorts; each is the evidence of all its judges."""
    found, shares = [], []
    for cohort in cohorts:
        numbers = [judge_numbers(evidence, rule) for evidence in cohort]
        said = words(numbers, rule)
        drift, quality = worst(list(said.drift), DRIFT), worst(list(said.quality), QUALITY)
        apart = any(p < rule.alpha_group for groups in said.p_groups for p in groups.values())
        found.append((drift, quality, apart))
        shares.append(max(row.need_mm2 / row.margin_mm2 for one in numbers for row in one.rows))
    n = len(found)

    def share(test: Callable[[str, str, bool], bool]) -> float:
        return sum(test(*one) for one in found) / n

    return Rates(
        runs=n,
        passes=share(lambda drift, quality, _: passes(drift, quality)),  # type: ignore[arg-type]
        equivalent=share(lambda drift, _, __: drift == EQUIVALENT),
        drifted=share(lambda drift, _, __: drift == DRIFTED),
        quality=share(lambda _, quality, __: passes(EQUIVALENT, quality)),  # type: ignore[arg-type]
        worse=share(lambda _, quality, __: quality == WORSE),
        not_shown=share(lambda _, quality, __: quality == NOT_SHOWN),
        groups=share(lambda _, __, apart: apart),
        need_share=tuple(sorted(shares)),
    )
