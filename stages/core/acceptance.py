"""The figures that the demo must reach, printed with what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.core.files import read_csv, read_json

#: What v2 must reach: mean Dice over all frozen images, each contrast, each real contrast that has a reference.
LEAST_MEAN, LEAST_CONTRAST, LEAST_REAL, GOAL_REAL = 0.93, 0.88, 0.80, 0.90
#: How much lower v1's Dice must be on contrasts it has not seen: than on those seen, and than v2's.
UNSEEN_GAP = 0.05
SEEN_BY_V1 = {"T1w", "T2w", "T2star"}


def check(work: Path, dice_v1: dict[str, float], with_real: bool, aliases: Sequence[str]) -> bool:
    """Print every figure of the check with what was expected; returns whether all hold. Undefined is not reached.

    ``aliases`` are those of v2 in MLflow.
    """
    table = read_csv(work / "reports/measure/agreement.csv", text=("contrast", "participant"))
    people = int(table["participant"].nunique())
    complete = people >= 6 and bool((table.groupby("contrast")["participant"].nunique() == people).all())
    failed = int(table["dice"].isna().sum() + (table["dice"] == 0).sum())
    dice = {str(name): float(rows.mean(skipna=False)) for name, rows in table.groupby("contrast")["dice"]}
    mean = float(table["dice"].mean(skipna=False))
    rows = [
        (f"frozen participants {people}, contrasts {len(dice)}", complete and len(dice) == 6, "at least 6, all in 6"),
        (f"v2 failed on {failed} of {len(table)} images", failed == 0, "0"),
        (f"v2 mean Dice {mean:.3f}", mean >= LEAST_MEAN, f"at least {LEAST_MEAN}"),
    ]
    for name, value in sorted(dice.items()):
        was = dice_v1.get(name, float("nan"))
        rows.append(
            (f"v2 Dice {name} {value:.3f} (v1 {was:.3f})", value >= LEAST_CONTRAST, f"at least {LEAST_CONTRAST}")
        )
    seen, unseen = (mean_of(dice_v1, names) for names in (SEEN_BY_V1, set(dice) - SEEN_BY_V1))
    gain = mean_of(dice, set(dice) - SEEN_BY_V1) - unseen
    for what, gap in (
        (f"v1 {seen:.3f} on contrasts seen, unseen lower by", seen - unseen),
        ("v2 there higher by", gain),
    ):
        rows.append((f"{what} {gap:.3f}", gap >= UNSEEN_GAP, f"at least {UNSEEN_GAP}"))
    version = read_json(work / "reports/register/receipt.json")["version"]
    good = version == "2" and {"anchor", "champion"} <= set(aliases)
    rows.append((f"MLflow version {version}, {', '.join(aliases)}", good, "2, anchor, champion: promoted"))
    verdict = read_json(work / "reports/compare/drift.json")["verdict"]
    said = f"v2 against v1: drift {verdict['drift']}, quality {verdict['quality']}"
    rows.append((said, not verdict["passed"], "not equivalent with so few participants"))
    priors = read_json(work / "reports/compare/drift.json")["priors"]
    good = len(priors) == 1 and priors[0]["comparable"] and priors[0]["pooled"]["n"] == people
    rows.append(
        (f"v2 compared with {len(priors)} prior on all participants", good, "1; else delete .demo and start again")
    )
    if with_real:
        real = read_csv(work / "data/monitored/real-cord/agreement.csv", text=("contrast", "flags"))
        for name, value in real.loc[real["flags"] != "no_reference", ["contrast", "dice"]].itertuples(index=False):
            goal = "" if value >= GOAL_REAL else f"; the goal of {GOAL_REAL} is not reached"
            rows.append((f"v2 Dice on real {name} {value:.3f}{goal}", value >= LEAST_REAL, f"at least {LEAST_REAL}"))
    for what, good, expected in rows:
        print(f"{'ok    ' if good else 'FAILED'}  {what}  (expected {expected})")
    return all(good for _, good, _ in rows)


def mean_of(dice: dict[str, float], names: set[str]) -> float:
    """Mean over contrasts, undefined when one of them is."""
    values = [dice.get(name, float("nan")) for name in sorted(names)]
    return sum(values) / len(values) if values else float("nan")
