"""What the verdict says when the truth is known: power, false "equivalent", coverage; simulated.

Not a test: run it with ``make bench-verdict``. Participants differ between two versions by a true bias and noise; the
verdict is the pipeline's own function. Exit status 1 when a goal is missed. Shares carry their Monte-Carlo error.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from stages.core.drift.judgement.verdict import DRIFT, judge_drift, worst  # noqa: E402
from stages.core.drift.rule.settings import Compare  # noqa: E402
from stages.core.drift.statistics.bias import mean_interval, t_interval  # noqa: E402
from stages.core.drift.statistics.concordance import limits_of_agreement, lin, slope  # noqa: E402

#: SD of paired differences, mm2, and the size of the literature's frozen set.
SD_MM2, N = 1.3, 49
RUNS = 2000
RULE = Compare(
    margin_mm2=0.65, csa_std_margin_mm2=0.1, alpha=0.05, min_contrasts=1, min_participants=2, atrophy_mm2_per_year=1.4
)


def share(verdicts: list[str], name: str) -> tuple[float, float]:
    """Share of one verdict with its Monte-Carlo standard error."""
    p = Counter(verdicts)[name] / len(verdicts)
    return p, float(np.sqrt(max(p * (1 - p), 1e-9) / len(verdicts)))


def verdicts(differences: np.ndarray) -> list[str]:
    """Verdicts on one contrast; ``differences`` is (runs, n)."""
    found = []
    for values in differences:
        names = [f"s{k}" for k in range(len(values))]
        table = pd.DataFrame({"dataset": "set", "participant": names, "session": "", "contrast": "T1w", "lost": False})
        found.append(
            judge_drift(table.assign(new=76.0 + values, old=76.0, difference=values), ["T1w"], RULE)[0].verdict
        )
    return found


def table_of(differences: np.ndarray, contrasts: list[str]) -> pd.DataFrame:
    """Pairs as the comparison has them; ``differences`` is (n, contrasts)."""
    n = len(differences)
    frames = [
        pd.DataFrame(
            {"dataset": "set", "participant": [f"s{k}" for k in range(n)], "session": "", "contrast": name}
        ).assign(new=76.0 + differences[:, c], old=76.0, difference=differences[:, c], lost=False)
        for c, name in enumerate(contrasts)
    ]
    return pd.concat(frames, ignore_index=True)


def contrasts_apart(rng: np.random.Generator) -> bool:
    """One contrast at +2, one at -2, four at 0: the pooled bias is 0, the verdict must be drifted."""
    names, found = ["A", "B", "C", "D", "E", "F"], []
    for _ in range(200):
        differences = rng.normal(0.0, SD_MM2, (N, 1)) * 0.5 + rng.normal(0.0, 0.6, (N, 6)) + [2, -2, 0, 0, 0, 0]
        found.append(worst([row.verdict for row in judge_drift(table_of(differences, names), names, RULE)], DRIFT))
    p, _ = share(found, "drifted")
    print(f"one contrast at +2 mm², one at −2, pooled 0: drifted in {p:.3f} of 200 runs  goal 1")
    return p == 1.0


def small_steps(rng: np.random.Generator) -> bool:
    """Five steps of +0.4 mm2: each against the version before it, and against the anchor where they began."""
    sd = 0.6  # of two neighbouring versions: small enough that a step of 0.4 can pass
    passed, caught = [], []
    for _ in range(400):
        versions = np.cumsum(rng.normal(0.4, sd, (5, N)), axis=0)
        steps = np.diff(np.vstack([np.zeros(N), versions]), axis=0)
        passed.append(np.mean([verdict == "equivalent" for verdict in verdicts(steps)]))
        judged = verdicts(versions)
        caught.append(next((k + 1 for k, verdict in enumerate(judged) if verdict != "equivalent"), 6))
    late = float(np.mean(np.array(caught) > 3))
    share_of_steps = float(np.mean(passed))
    print(
        f"five steps of +0.4 mm², SD {sd} mm²: {share_of_steps:.3f} of the steps pass against the version before; the "
        f"anchor stops them at step {np.mean(caught):.2f} on average, later than the third in {late:.3f}  goal 0"
    )
    return late == 0.0


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
    rng = np.random.default_rng(0)
    good = True
    print(f"n = {N}, SD of paired differences {SD_MM2} mm², margin ±{RULE.margin_mm2} mm², {RUNS} runs a row")
    print(f"{'true bias, mm²':>15} {'equivalent':>12} {'drifted':>9} {'inconclusive':>13}")
    for bias in (0.0, 0.1, 0.2, 0.3, 0.5, 0.65, -0.65, 0.8, 1.3):
        found = verdicts(rng.normal(bias, SD_MM2, (RUNS, N)))
        (p, error), (drifted, _), (rest, _) = (share(found, v) for v in ("equivalent", "drifted", "inconclusive"))
        goal = ""
        if bias == 0.0:
            good &= p >= 0.90
            goal = "goal >= 0.90"
        elif abs(bias) == RULE.margin_mm2:
            good &= p <= 0.05 + 3 * error
            goal = "goal <= 0.05 + 3 Monte-Carlo errors"
        print(f"{bias:>15.2f} {p:>6.3f}±{error:.3f} {drifted:>9.3f} {rest:>13.3f}  {goal}")
    few = share(verdicts(rng.normal(0.0, SD_MM2, (RUNS, 6))), "equivalent")
    print(f"six participants, true bias 0: equivalent {few[0]:.3f}±{few[1]:.3f} (were so few let through)")
    person = rng.normal(RULE.margin_mm2, SD_MM2, (RUNS, N, 1))
    cases = person + rng.normal(0.0, 0.6, (RUNS, N, 6))
    wrong = share(verdicts(cases.reshape(RUNS, -1)), "equivalent")
    right = share(verdicts(cases.mean(axis=2)), "equivalent")
    good &= right[0] <= 0.05 + 3 * right[1]
    print(f"bias at the margin, each of six contrasts taken as a participant: equivalent {wrong[0]:.3f}±{wrong[1]:.3f}")
    print(
        f"  by participant means, as cordrift does: {right[0]:.3f}±{right[1]:.3f}  goal <= 0.05 + 3 Monte-Carlo errors"
    )
    good &= contrasts_apart(rng)
    good &= small_steps(rng)
    good &= coverage(rng)
    ten_thousand(rng)
    print("all goals are met" if good else "a goal is MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
