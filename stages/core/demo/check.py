"""The figures that the demo must reach. An undefined figure counts as not reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..annotation.review.marks import PASS
from ..base.files import read_csv, read_json
from ..drift.record.record import read_drift
from ..drift.versions.version import JUDGES

#: Dice that v2 must reach: mean over all frozen images, in each contrast, and in each real contrast with a reference;
#: and the Dice on real contrasts that is the goal.
LEAST_MEAN, LEAST_CONTRAST, LEAST_REAL, GOAL_REAL = 0.93, 0.88, 0.80, 0.90
#: The same for the starter model, which no real image and no rater's habit has taught.
LEAST_STARTER = 0.70
#: By how much the Dice of v1 on contrasts that it has not seen must be lower: than on those it has seen, and than the
#: Dice of v2.
UNSEEN_GAP = 0.05
#: Dice with the truth that every mask must have which the reviewer passed.
LEAST_PASSED = 0.88
SEEN_BY_V1 = {"T1w", "T2w", "T2star"}


class Figure(NamedTuple):
    """One line of the check: what was found, whether it is good, and what was expected."""

    found: str
    good: bool
    expected: str


def figure_lines(figures: Iterable[Figure]) -> Iterator[str]:
    """Yield every figure as a line for the terminal."""
    for found, good, expected in figures:
        yield f"{'ok    ' if good else 'FAILED'}  {found}  (expected {expected})"


def loop_figures(work: Path, aliases: Sequence[str]) -> list[Figure]:
    """Return the figures that show whether the loop ran to its end. They do not depend on how well the model segments.

    ``aliases`` are the aliases of v2 in MLflow.
    """
    dice = read_csv(work / "reports/measure/agreement.csv", text=("contrast", "participant"))["dice"]
    version = read_json(work / "reports/register/receipt.json")["version"]
    drift = read_drift(work / "reports/compare/drift.json")
    verdict, priors = drift.verdict, drift.priors
    compared = len(priors) == 1 and priors[0].comparable and priors[0].pooled is not None and priors[0].pooled.n >= 1
    promoted = version == "2" and set(JUDGES) <= set(aliases)
    said = f"v2 against v1: drift {verdict.drift}, quality {verdict.quality}"
    return [
        Figure(f"v2 measured: mean Dice {dice.mean():.3f} of {dice.count()} images", bool(dice.count()), "at least 1"),
        Figure(f"MLflow version {version}, {', '.join(aliases)}", promoted, "2, anchor, champion: promoted"),
        Figure(said, not verdict.passed, "not equivalent with so few participants"),
        Figure(
            f"v2 compared with {len(priors)} prior", compared, f"1, with what both measured; else delete {work.name}"
        ),
        Figure("the drift report", (work / "reports/report/index.html").is_file(), "there"),
    ]


def growth_figures(seen: pd.DataFrame) -> list[Figure]:
    """Return what came of the new images: every one has a reviewed mask, or a reason why it has none.

    Parameters
    ----------
    seen : what the reviewer saw, a row for each new image
    """
    decided = int((seen["mark"] != "").sum())
    least = float(seen.loc[seen["mark"] == PASS, "dice"].min())
    looked = f"new images drafted and looked at: {decided} of {len(seen)}"
    return [
        Figure(looked, decided >= len(seen) * 0.9, "at least 90 %"),
        Figure(
            f"smallest Dice of a passed mask with the truth: {least:.3f}",
            least >= LEAST_PASSED,
            f"at least {LEAST_PASSED}",
        ),
    ]


def dice_figures(work: Path, dice_v1: dict[str, float]) -> list[Figure]:
    """Return how well v2 segments the frozen images, and how much better than v1 in contrasts that v1 has not seen.

    ``dice_v1``: contrast -> mean Dice of v1.
    """
    table = read_csv(work / "reports/measure/agreement.csv", text=("contrast", "participant"))
    people = int(table["participant"].nunique())
    complete = people >= 6 and bool((table.groupby("contrast")["participant"].nunique() == people).all())
    failed = int(table["dice"].isna().sum() + (table["dice"] == 0).sum())
    dice = {str(name): float(rows.mean(skipna=False)) for name, rows in table.groupby("contrast")["dice"]}
    mean = float(table["dice"].mean(skipna=False))
    priors = read_drift(work / "reports/compare/drift.json").priors
    compared = {prior.pooled.n if prior.pooled else 0 for prior in priors}
    everyone = f"frozen participants {people}, contrasts {len(dice)}"
    figures = [
        Figure(everyone, complete and len(dice) == 6, "at least 6, all in 6"),
        Figure("all of them compared with v1", compared == {people}, f"{people}"),
        Figure(f"v2 failed on {failed} of {len(table)} images", failed == 0, "0"),
        Figure(f"v2 mean Dice {mean:.3f}", mean >= LEAST_MEAN, f"at least {LEAST_MEAN}"),
    ]
    for name, value in sorted(dice.items()):
        found = f"v2 Dice {name} {value:.3f} (v1 {dice_v1.get(name, float('nan')):.3f})"
        figures.append(Figure(found, value >= LEAST_CONTRAST, f"at least {LEAST_CONTRAST}"))
    seen, unseen = (mean_of(dice_v1, names) for names in (SEEN_BY_V1, set(dice) - SEEN_BY_V1))
    gain = mean_of(dice, set(dice) - SEEN_BY_V1) - unseen
    for what, gap in (
        (f"v1 {seen:.3f} on contrasts seen, unseen lower by", seen - unseen),
        ("v2 there higher by", gain),
    ):
        figures.append(Figure(f"{what} {gap:.3f}", gap >= UNSEEN_GAP, f"at least {UNSEEN_GAP}"))
    return figures


def real_figures(work: Path, version: str, least: float = LEAST_REAL) -> list[Figure]:
    """Return how well a version segments the real participant in each contrast that has a reference.

    Parameters
    ----------
    work : the workspace of the demo, in which this version was monitored last
    version : its name, for the sentences
    least : Dice that it must reach
    """
    real = read_csv(work / "data/monitored/real-cord/agreement.csv", text=("contrast", "flags"))
    figures = []
    for name, value in real.loc[real["flags"] != "no_reference", ["contrast", "dice"]].itertuples(index=False):
        goal = "" if value >= GOAL_REAL else f"; the goal of {GOAL_REAL} is not reached"
        found = f"{version} Dice on real {name} {value:.3f}{goal}"
        figures.append(Figure(found, value >= least, f"at least {least}"))
    return figures


def mean_of(dice: dict[str, float], names: set[str]) -> float:
    """Return the mean over contrasts; NaN where the Dice of one of them is missing or undefined."""
    values = [dice.get(name, float("nan")) for name in sorted(names)]
    return sum(values) / len(values) if values else float("nan")
