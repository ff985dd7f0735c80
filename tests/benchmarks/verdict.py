"""What the verdict says when the truth is known: power, false "equivalent", coverage; simulated.

Not a test: run it with ``make bench-verdict``. Participants differ between two versions by a true bias and noise; the
verdict is the pipeline's own function. Exit status 1 when a goal is missed. Shares carry their Monte-Carlo error.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from stages.core.drift.bias import t_interval  # noqa: E402
from stages.core.drift.verdict import judge_drift  # noqa: E402
from stages.core.params import Compare  # noqa: E402

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
        table = pd.DataFrame({"dataset": "set", "participant": names, "session": "", "contrast": "T1w"})
        found.append(
            judge_drift(table.assign(new=76.0 + values, old=76.0, difference=values), ["T1w"], RULE)[0].verdict
        )
    return found


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
    inside = [low <= 0.3 <= high for low, high in (t_interval(v, 0.05) for v in rng.normal(0.3, SD_MM2, (RUNS, N)))]
    covered = float(np.mean(inside))
    good &= 0.93 <= covered <= 0.97
    print(f"95 % t-interval of the bias at n = {N}: covers the truth in {covered:.3f}  goal 0.93 to 0.97")
    print("all goals are met" if good else "a goal is MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
