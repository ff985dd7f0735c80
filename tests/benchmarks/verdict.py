"""What the whole decision says when the truth is known: simulated with the verdict's own code.

Not a test: run it with ``make bench-verdict``. docs/drift.md quotes it. Exit status 1 when a goal is missed. Shares
carry their Monte-Carlo error.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from stages.core.drift.judgement.verdict import DRIFT, QUALITY, judge_numbers, passes, words, worst  # noqa: E402  # noqa: E402
from stages.core.drift.power.rates import Rates, rates  # noqa: E402
from stages.core.drift.power.scenario import (  # noqa: E402
    Measured,
    Scenario,
    cohort,
    evidence_beside,
    version,
    with_participants,
)
from stages.core.drift.rule.settings import Compare  # noqa: E402
from stages.core.drift.statistics.bias import mean_interval, t_interval  # noqa: E402
from stages.core.drift.statistics.concordance import limits_of_agreement, lin, slope  # noqa: E402

#: SD of paired differences, mm2, and the size of the literature's frozen set.
SD_MM2, N = 1.3, 49
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
RULE = Compare.read(ROOT / "params/spine-generic.yaml")
#: The shapes of noise that are tried with every truth.
SHAPES = {
    "normal": {},
    "sites (ICC 0.3)": {"icc": 0.3},
    "t3 tails": {"tails": "t3"},
    "skewed noise": {"tails": "skewed"},
    "t3 and sites": {"tails": "t3", "icc": 0.3},
    "skew and sites": {"tails": "skewed", "icc": 0.3},
}
FAILING = {"fails": 0.5 / 294, "fails_again": 0.5 / 294}
RHO = (0.0, 0.3, 0.6)


class Table:
    """Prints a row for each truth, and keeps whether all goals are met."""

    def __init__(self) -> None:
        self.good = True

    def head(self, title: str) -> None:
        """Begin a table."""
        print(f"\n### {title}\n")
        print("| truth | passes | equivalent | drifted | quality worse | not shown | group test refuses | goal |")
        print("|---|---|---|---|---|---|---|---|", flush=True)

    def row(self, name: str, scenarios: list[Scenario], rule: Compare = RULE, **goals: float) -> list[Rates]:
        """Print the range over scenarios; goals: passes_min, passes_max, equivalent_max, drifted_max, quality_max."""
        found = [rates(one, rule, RUNS, seed=1) for one in tqdm(scenarios, name, leave=False, disable=None)]
        met = True
        for goal, limit in goals.items():
            what, _, end = goal.rpartition("_")
            for one in found:
                value = getattr(one, what)
                slack = 3 * one.error(limit)
                met &= value >= limit - slack if end == "min" else value <= limit + slack
        self.good &= met
        said = ", ".join(f"{goal.replace('_', ' ')} {limit:g}" for goal, limit in goals.items())
        cells = [
            shown([getattr(one, column) for one in found])
            for column in ("passes", "equivalent", "drifted", "worse", "not_shown", "groups")
        ]
        print(f"| {name} | {' | '.join(cells)} | {said}{'' if met else ' MISSED'} |", flush=True)
        return found


def shown(values: list[float]) -> str:
    """The range of some shares."""
    low, high = min(values), max(values)
    return f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f}–{high:.3f}"


def over_rho(scenario: Scenario, **changes: object) -> list[Scenario]:
    """The scenario with each correlation between contrasts."""
    return [scenario.with_(correlation=rho, **changes) for rho in RHO]


def one_contrast(shift: float) -> tuple[float, ...]:
    """A shift of the first of six contrasts."""
    return (shift, 0.0, 0.0, 0.0, 0.0, 0.0)


def decision_tables() -> bool:
    """Print the tables of the whole decision."""
    base, table = Scenario(), Table()
    table.head("Nothing moved, two judges")
    for name, shape in SHAPES.items():
        # The goal for "passes" is for normal noise, with and without sites; heavy tails are shown.
        goals = {"passes_min": 0.80} if "tails" not in shape else {}
        table.row(f"SD 1.3, {name}", over_rho(base, **shape), drifted_max=0.05, **goals)
    table.row("SD 1.3, normal, one judge", over_rho(base, judges=1), passes_min=0.80, drifted_max=0.05)
    for name in ("normal", "sites (ICC 0.3)", "t3 and sites"):
        table.row(f"SD 1.3, {name}, one case in 294 fails", over_rho(base, **SHAPES[name], **FAILING), drifted_max=0.05)
    for name in ("normal", "sites (ICC 0.3)", "t3 and sites", "skew and sites"):
        table.row(f"SD 0.6, {name}", over_rho(base, sd_mm2=0.6, **SHAPES[name]), passes_min=0.95, drifted_max=0.05)
    table.row("SD 1.72, t3 and sites", over_rho(base, sd_mm2=1.72, **SHAPES["t3 and sites"]), drifted_max=0.05)
    table.head("Moved by a margin")
    for name, shape in SHAPES.items():
        both = [one for sign in (0.65, -0.65) for one in over_rho(base, shift_mm2=sign, **shape)]
        table.row(f"every contrast ±0.65, {name}", both, passes_max=0.05)
        both = [one for sign in (1.0, -1.0) for one in over_rho(base, shift_mm2=one_contrast(sign), **shape)]
        table.row(f"one contrast ±1.0, {name}", both, passes_max=0.05)
    for name in ("normal", "sites (ICC 0.3)", "t3 tails"):
        alone = over_rho(base, shift_mm2=one_contrast(1.0), judges=1, **SHAPES[name])
        table.row(f"one contrast +1.0, {name}, one judge", alone, equivalent_max=0.06)
    alone = over_rho(base, shift_mm2=0.65, judges=1, **SHAPES["t3 and sites"])
    table.row("every contrast +0.65, t3 and sites, one judge", alone, equivalent_max=0.06)
    for sign in (1.0, -1.0):
        skewed = over_rho(base, shift_mm2=one_contrast(sign), tails="skewed difference", judges=1)
        table.row(f"one contrast {sign:+g}, differences themselves skewed, one judge", skewed)
    table.head("Moved otherwise, two judges, normal")
    apart = (1.0, -1.0, 0.0, 0.0, 0.0, 0.0)
    table.row("one contrast +1.0 and another −1.0", over_rho(base, shift_mm2=apart), passes_max=0.05)
    table.row(
        "one contrast +2 (a contrast that drifted)", over_rho(base, shift_mm2=one_contrast(2.0)), passes_max=0.001
    )
    table.row("one contrast +0.65 alone", over_rho(base, shift_mm2=one_contrast(0.65)))
    for shift in (0.2, 0.3, 0.4, 0.5):
        table.row(f"every contrast +{shift}, correlation 0.3", [base.with_(shift_mm2=shift)])
    vendor = over_rho(base, vendor_shift_mm2=(("GE", 1.5),))
    table.row("six people of one vendor +1.5 everywhere", vendor)
    table.row("the same, without watched groups", vendor, RULE.model_copy(update={"watched": []}))
    table.head("Quality, two judges, normal")
    table.row("errors grown by 20 %", over_rho(base, growth=1.2), passes_max=0.10)
    grown = [base.with_(correlation=rho, growth=1 + 0.5 / spread(rho)) for rho in RHO]
    table.row("CSA STD grown by 0.5 mm²", grown, quality_max=0.10)
    rest = RULE.primary.model_copy(update={"margin_contrast_mm2": 0.65})
    strict = RULE.model_copy(update={"metrics": [rest]})
    table.head("Other sizes and margins, nothing moved, two judges")
    table.row("49 participants, 0.65 asked of every contrast", over_rho(base), strict)
    table.row("90 participants, 0.65 asked of every contrast", over_rho(with_participants(90)), strict, passes_min=0.80)
    table.row("30 participants, default rule", over_rho(with_participants(30)))
    return table.good


def spread(rho: float) -> float:
    """Mean CSA STD (mm2) of an unchanged version; its SD over six contrasts is chi distributed with 5 degrees."""
    sd = np.sqrt((1.84**2 + SD_MM2**2 / 2) * (1 - rho))
    return float(sd * 0.9515)


def small_steps() -> bool:
    """Five steps: each candidate has moved from the champion; one that passes becomes champion, the anchor stays."""
    print("\n### Five steps: the end is a margin or more away from the anchor\n")
    print("| step | margin | judged by the champion alone | by champion and anchor | goal |\n|---|---|---|---|---|")
    good = True
    steps = {
        "+0.4 in every contrast": (0.4, 0.65),
        "+0.2 in one contrast": (one_contrast(0.2), 1.0),
        "+0.4 in one contrast": (one_contrast(0.4), 1.0),
    }
    for name, (step, margin) in steps.items():
        far = {
            both: np.mean([_end(step, both, seed) >= margin - 1e-9 for seed in range(RUNS // 10)])
            for both in (False, True)
        }
        met = bool(far[True] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / (RUNS // 10)))
        good &= met
        print(
            f"| {name} | {margin} | {far[False]:.3f} | {far[True]:.3f} | at most 0.05{'' if met else ' MISSED'} |",
            flush=True,
        )
    return good


def _end(step: float | tuple[float, ...], both: bool, seed: int) -> float:
    """How far (mm2, of the contrast that moved) the champion is from the anchor after five steps."""
    scenario, rng, metric = Scenario(), np.random.default_rng(seed), RULE.primary.name
    one = cohort(scenario, _PEOPLE, rng)
    anchor = version(one, rng)
    champion, moved = anchor, 0
    for _ in range(5):
        plain = version(one, rng)
        new = Measured(plain.error + (moved + 1) * np.broadcast_to(step, (6,)), plain.failed)
        judges = [champion, anchor] if both and champion is not anchor else [champion]
        numbers = [judge_numbers(evidence_beside(one, metric, new, judge), RULE) for judge in judges]
        said = words(numbers, RULE)
        if passes(worst(list(said.drift), DRIFT), worst(list(said.quality), QUALITY)):
            champion, moved = new, moved + 1
    return moved * float(np.max(step))


_PEOPLE = Scenario().people()


def coverage(rng: np.random.Generator) -> bool:
    """How often 95 % intervals hold the truth, at n = 49 and, for comparison, at n = 6; the goal is for n = 49."""
    z = 1.959964
    mean, spread = 76.0, 6.0
    # Two versions' values: between-participant SD 6 mm2, SD of differences 1.3 mm2, bias 0.3 mm2.
    half = SD_MM2 / 2.0
    truth = {
        "bias (t)": 0.3,
        "lower limit of agreement": 0.3 - z * SD_MM2,
        "upper limit of agreement": 0.3 + z * SD_MM2,
        "slope of the difference": 0.0,
        "CCC (Fisher z)": 2 * (spread**2 - half**2) / (2 * (spread**2 + half**2) + 0.3**2),
        "mean of a skewed spread (BCa from n = 30)": float(np.exp(0.125)),
    }
    good = True
    print(f"{'95 % interval covers the truth in':>44} {'n = 49':>8} {'n = 6':>8}   (goal 0.93 to 0.97 at n = 49)")
    found = {name: [] for name in truth}
    for n in (N, 6):
        held = {name: [] for name in truth}
        for _ in range(1000):
            person, shift = rng.normal(mean, spread, n), rng.normal(0.0, half, n)
            new, old = person + shift + 0.3, person - shift
            lower, upper = limits_of_agreement(new - old, 0.05)
            intervals = {
                "bias (t)": t_interval(new - old, 0.05),
                "lower limit of agreement": lower[1:],
                "upper limit of agreement": upper[1:],
                "slope of the difference": slope(new, old, 0.05)[1:],
                "CCC (Fisher z)": lin(new, old, 0.05)[1:],
                "mean of a skewed spread (BCa from n = 30)": mean_interval(rng.lognormal(0.0, 0.5, n), 0.05),
            }
            for name, (low, high) in intervals.items():
                held[name].append(low <= truth[name] <= high)
        for name, inside in held.items():
            found[name].append(float(np.mean(inside)))
    for name, (many, few) in found.items():
        good &= 0.93 <= many <= 0.97
        print(f"{name:>44} {many:>8.3f} {few:>8.3f}")
    return good


def ten_thousand(rng: np.random.Generator) -> None:
    """Time of the whole comparison of 1,700 participants in six contrasts, with slices; the time of this machine."""
    from support.drift_factory import CONTRASTS, older, run, version

    values = {f"sub-{k:04d}": list(rng.normal(76, 2, 6)) for k in range(1700)}
    new, old = version(values), older(values)
    start = time.perf_counter()
    run(new, old)
    seconds = time.perf_counter() - start
    print(f"comparison of two versions, {1700 * len(CONTRASTS)} cases each: {seconds:.1f} s")


def main() -> int:
    """Print the tables."""
    print(
        f"{RUNS} runs a row, Monte-Carlo error at most {np.sqrt(0.25 / RUNS):.3f}; n = {N} at 30 sites, six contrasts;"
    )
    print("a range is over the correlation between contrasts 0, 0.3 and 0.6, and over both signs")
    good = decision_tables()
    good &= small_steps()
    print()
    good &= coverage(np.random.default_rng(0))
    ten_thousand(np.random.default_rng(0))
    print("all goals are met" if good else "a goal is MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
