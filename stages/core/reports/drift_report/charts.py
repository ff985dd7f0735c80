"""Charts of the report: each is a function of one table, and the same table gives the same PNG.

Colours: ground truth grey, priors muted, candidate dark blue (the palette is safe for colour-blind readers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...drift.record.record import VersionRecord
from ...pages.canvas import BLUE, GREY, STYLE, new_figure
from .wording import Shown

PRIORS = ("#d08c3f", "#6a9f8b", "#a679a8", "#b0664f", "#7d8fc4")
MANY = "#b3a184"


def colours(versions: Sequence[Shown]) -> dict[str, str]:
    """Return the colour of each version."""
    fixed = {"reference": GREY, "candidate": BLUE}
    priors = [shown.version for shown in versions if shown.role == "prior"]
    # Where there are more priors than colours, all have one colour, so that no colour stands for two of them.
    palette = PRIORS if len(priors) <= len(PRIORS) else (MANY,) * len(priors)
    chosen = dict(zip(reversed(priors), palette, strict=False))
    return {shown.version: fixed.get(shown.role) or chosen[shown.version] for shown in versions}


def csa_std_figure(csa_std: pd.DataFrame, versions: Sequence[Shown]) -> Figure:
    """Draw CSA STD by version: every participant, n, mean and SD, and a violin from three values on.

    Parameters
    ----------
    csa_std : columns version, csa_std_mm2
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(max(5.0, 1.1 * len(versions) + 1.2), 4.0)
        axes = figure.subplots()
        colour = colours(versions)
        ticks = []
        for place, shown in enumerate(versions):
            values = _values(csa_std[csa_std["version"] == shown.version]["csa_std_mm2"])
            mean = f"{values.mean():.2f}" if len(values) else "–"
            sd = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
            ticks.append(f"{shown.label}\nn = {len(values)}\n{mean}{sd}".replace(", ", "\n"))
            _violin(axes, place, values, colour[shown.version])
        axes.set_xticks(range(len(versions)), ticks)
        axes.set_xlim(-0.6, len(versions) - 0.4)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("SD of CSA over contrasts (mm²)")
        axes.grid(axis="x", visible=False)
    return figure


def trend_figure(versions: Sequence[VersionRecord], shown: Sequence[Shown], level_percent: float) -> Figure:
    """Draw the mean CSA STD from version to version with its interval, and that of the ground truth as a line across.

    Parameters
    ----------
    versions : in their order
    shown : how they are called
    level_percent : of the interval
    """
    labels = {item.version: item.label for item in shown}
    colour = colours(shown)
    with mpl.rc_context(STYLE):
        figure = new_figure(max(5.0, 1.1 * len(versions) + 2.0), 3.2)
        axes = figure.subplots()
        series = [version for version in versions if version.role != "reference"]
        known = [(k, version) for k, version in enumerate(series) if not math.isnan(version.csa_std_mean_mm2)]
        axes.plot([k for k, _ in known], [one.csa_std_mean_mm2 for _, one in known], color="#9aa0a8", lw=1.2)
        for place, version in known:
            own = colour[version.version]
            if not math.isnan(version.csa_std_low_mm2):
                ends = [version.csa_std_low_mm2, version.csa_std_high_mm2]
                axes.plot([place, place], ends, color=own, lw=2.5)
            # Hollow: measured with another ruler or on another set; its height is not comparable.
            fill = "white" if version.marks else own
            axes.plot(place, version.csa_std_mean_mm2, "o", color=own, mfc=fill, ms=9, mew=2)
        for version in versions:
            if version.role == "reference" and not math.isnan(version.csa_std_mean_mm2):
                axes.axhline(version.csa_std_mean_mm2, color=GREY, lw=1.4, ls="--", label="ground truth")
                axes.legend(loc="best")
        ticks = [f"{labels[version.version]}\nn = {version.n}".replace(", ", "\n") for version in series]
        axes.set_xticks(range(len(series)), ticks)
        axes.set_xlim(-0.6, len(series) - 0.4)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"mean CSA STD (mm²), {level_percent:g} % interval")
        axes.grid(axis="x", visible=False)
    return figure


def csa_figure(csa: pd.DataFrame, versions: Sequence[Shown], contrasts: Sequence[str]) -> Figure:
    """Draw CSA by contrast: a point for every participant, and a bar at each version's mean.

    Parameters
    ----------
    csa : columns version, contrast, csa_mm2
    """
    return _by_contrast(csa, "csa_mm2", "CSA (mm²)", versions, contrasts)


def dice_figure(agreement: pd.DataFrame, versions: Sequence[Shown], contrasts: Sequence[str]) -> Figure:
    """Draw Dice by contrast: a point for every case, and a bar at each version's mean.

    Parameters
    ----------
    agreement : columns version, contrast, dice
    """
    shown = [version for version in versions if version.role != "reference"]
    return _by_contrast(agreement, "dice", "Dice with the reference (1 = identical)", shown, contrasts)


def training_figure(curves: pd.DataFrame) -> Figure:
    """Draw loss and Dice of every fold over the epochs: training dashed, validation solid.

    Parameters
    ----------
    curves : columns fold, epoch, train_loss, val_loss, dice
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(6.8, 2.9)
        loss, dice = figure.subplots(1, 2)
        for number, (fold, rows) in enumerate(curves.groupby("fold")):
            own = PRIORS[number % len(PRIORS)] if number else BLUE
            epochs = rows["epoch"] + 1
            loss.plot(epochs, rows["train_loss"], color=own, lw=1.4, ls="--")
            loss.plot(epochs, rows["val_loss"], color=own, lw=1.8)
            dice.plot(epochs, rows["dice"], color=own, lw=1.8, label=f"fold {fold}")
        for axes, what in ((loss, "loss (dashed: training)"), (dice, "Dice of the validation")):
            axes.set_ylabel(what)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        if len(set(curves["fold"])) > 1:
            dice.legend(loc="lower right")
    return figure


def _values(column: pd.Series[float]) -> NDArray[np.float64]:
    return np.sort(column.dropna().to_numpy(dtype=np.float64))


def _violin(axes: Axes, place: float, values: NDArray[np.float64], colour: str) -> None:
    if len(values) >= 3 and np.ptp(values) > 0:
        parts = axes.violinplot([values], positions=[place], widths=0.75, showextrema=False)
        for body in parts["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, alpha=0.22, edgecolor=colour)
    axes.plot(_spread(place, len(values), 0.16), values, "o", color=colour, ms=5, mec="white", mew=0.6)
    if len(values):
        mean = float(values.mean())
        axes.plot([place - 0.28, place + 0.28], [mean, mean], color=colour, lw=2.2)


def _spread(place: float, n: int, half: float) -> NDArray[np.float64]:
    """Return positions beside each other for points in order of value; they are the same on every run."""
    steps = np.array([0.0, -1.0, 1.0, -0.5, 0.5])
    return place + half * steps[np.arange(n) % len(steps)]


def _by_contrast(
    table: pd.DataFrame, column: str, label: str, versions: Sequence[Shown], contrasts: Sequence[str]
) -> Figure:
    with mpl.rc_context(STYLE):
        figure = new_figure(6.8, 3.8)
        axes = figure.subplots()
        colour = colours(versions)
        width = 0.8 / max(1, len(versions))
        for number, shown in enumerate(versions):
            of_version = table[table["version"] == shown.version]
            for place, contrast in enumerate(contrasts):
                values = _values(of_version[of_version["contrast"] == contrast][column])
                x = place - 0.4 + width * (number + 0.5)
                name = shown.label if place == 0 else None
                axes.plot(
                    _spread(x, len(values), 0.22 * width),
                    values,
                    "o",
                    color=colour[shown.version],
                    ms=4.2,
                    alpha=0.75,
                    mec="white",
                    mew=0.4,
                    label=name,
                )
                if len(values):
                    axes.plot(
                        [x - 0.4 * width, x + 0.4 * width], [values.mean()] * 2, color=colour[shown.version], lw=2
                    )
                else:
                    axes.annotate("none", (x, 0.01), xycoords=("data", "axes fraction"), ha="center", fontsize=7)
        axes.set_xticks(range(len(contrasts)), list(contrasts))
        axes.set_xlim(-0.5, len(contrasts) - 0.5)
        for boundary in np.arange(0.5, len(contrasts) - 1):
            axes.axvline(boundary, color="#e6e8eb", lw=0.8)
        axes.set_ylabel(label)
        axes.grid(axis="x", visible=False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=max(1, min(6, len(versions))), markerscale=1.6)
    return figure
