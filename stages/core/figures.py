"""Charts of the report: each is a function of one table, and gives the same PNG for the same table.

Colours: ground truth grey, priors muted, candidate dark blue (the palette is safe for colour-blind readers).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

DPI = 160
GREY, BLUE, MARGIN = "#8a8f98", "#1f4e79", "#cfe3d4"
PRIORS = ("#d08c3f", "#6a9f8b", "#a679a8", "#b0664f", "#7d8fc4")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": "#2a3138",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.8,
    "xtick.color": "#444b53",
    "ytick.color": "#444b53",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Shown:
    """How a version is shown: its name in tables, the label that people know, its role."""

    version: str
    label: str
    role: str


def png_bytes(figure: Figure) -> bytes:
    """Render a figure; neither date nor software version goes into the file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None}, facecolor="white")
    return stream.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, outside pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colours(versions: Sequence[Shown]) -> dict[str, str]:
    """Colour of each version."""
    fixed = {"reference": GREY, "candidate": BLUE}
    priors = [shown.version for shown in versions if shown.role == "prior"]
    chosen = {version: PRIORS[index % len(PRIORS)] for index, version in enumerate(reversed(priors))}
    return {shown.version: fixed.get(shown.role) or chosen[shown.version] for shown in versions}


def csa_std_figure(csa_std: pd.DataFrame, versions: Sequence[Shown]) -> Figure:
    """CSA STD over contrasts by version: a violin where three or more differ, every participant, mean and n.

    Parameters
    ----------
    csa_std : columns version, csa_std_mm2
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(max(5.0, 1.5 * len(versions) + 1.2), 3.8)
        axes = figure.subplots()
        colour = colours(versions)
        ticks = []
        for place, shown in enumerate(versions):
            values = _values(csa_std[csa_std["version"] == shown.version]["csa_std_mm2"])
            ticks.append(f"{shown.label}\nn = {len(values)}")
            _violin(axes, place, values, colour[shown.version])
        axes.set_xticks(range(len(versions)), ticks)
        axes.set_xlim(-0.6, len(versions) - 0.2)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("SD of CSA over contrasts (mm²)")
        axes.grid(axis="x", visible=False)
    return figure


def csa_figure(csa: pd.DataFrame, versions: Sequence[Shown], contrasts: Sequence[str]) -> Figure:
    """CSA per contrast: every participant a point, a bar at each version's mean.

    Parameters
    ----------
    csa : columns version, contrast, csa_mm2
    """
    return _by_contrast(csa, "csa_mm2", "CSA at the range (mm²)", versions, contrasts)


def dice_figure(agreement: pd.DataFrame, versions: Sequence[Shown], contrasts: Sequence[str]) -> Figure:
    """Dice per contrast: every case a point, a bar at each version's mean.

    Parameters
    ----------
    agreement : columns version, contrast, dice
    """
    shown = [version for version in versions if version.role != "reference"]
    return _by_contrast(agreement, "dice", "Dice with the reference (1 = identical)", shown, contrasts)


def bias_figure(bias: pd.DataFrame, order: Sequence[str], *, margin_mm2: float, level_percent: float) -> Figure:
    """Bias and its interval per contrast and pooled, over the band of the margin.

    Parameters
    ----------
    bias : columns contrast, n, bias_mm2, ci_low_mm2, ci_high_mm2; one row per name in ``order``
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(6.4, 0.38 * len(order) + 1.0)
        axes = figure.subplots()
        axes.axvspan(-margin_mm2, margin_mm2, color=MARGIN, lw=0, zorder=0)
        axes.axvline(0, color="#6b727a", lw=1, zorder=1)
        rows = bias.set_index("contrast").reindex(list(order))
        for place, (name, row) in enumerate(rows.iterrows()):
            pooled = name == order[-1]
            if np.isfinite(row["ci_low_mm2"]):
                axes.plot([row["ci_low_mm2"], row["ci_high_mm2"]], [place, place], color=BLUE, lw=3 if pooled else 1.8)
            axes.plot(row["bias_mm2"], place, "D" if pooled else "o", color=BLUE, ms=8 if pooled else 6)
        counts = [0 if pd.isna(n) else int(n) for n in rows["n"]]
        axes.set_yticks(range(len(order)), [f"{name}  (n = {n})" for name, n in zip(order, counts, strict=True)])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlabel(f"new − old (mm²), {level_percent:g} % interval; band: margin ±{margin_mm2:g} mm²")
        reach = 1.15 * max(margin_mm2, float(np.nanmax(np.abs(_reach(rows)), initial=0.0)))
        axes.set_xlim(-reach, reach)
        axes.grid(axis="y", visible=False)
    return figure


def bland_altman_figure(pairs: pd.DataFrame, concordance: pd.DataFrame, contrasts: Sequence[str]) -> Figure:
    """Difference over mean of every case, a panel a contrast; bias, limits of agreement and their intervals.

    Parameters
    ----------
    pairs : columns contrast, new, old, difference (mm2)
    concordance : columns contrast, n, limit_*_mm2; one row per name in ``contrasts``
    """
    limits = concordance.set_index("contrast")
    columns = min(3, len(contrasts))
    with mpl.rc_context(STYLE):
        rows = -(-len(contrasts) // columns)
        figure = new_figure(6.8, 2.3 * rows + 0.4)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, name in zip(panels, contrasts, strict=False):
            mine = pairs[pairs["contrast"] == name].dropna(subset=["difference"])
            row = limits.loc[name]
            axes.axhline(0, color="#6b727a", lw=1)
            for side in ("lower", "upper"):
                if np.isfinite(row[f"limit_{side}_mm2"]):
                    axes.axhspan(
                        row[f"limit_{side}_low_mm2"], row[f"limit_{side}_high_mm2"], color=BLUE, alpha=0.10, lw=0
                    )
                    axes.axhline(row[f"limit_{side}_mm2"], color=BLUE, lw=1.2, ls="--")
            if len(mine):
                axes.axhline(float(mine["difference"].mean()), color=BLUE, lw=2)
            axes.plot((mine["new"] + mine["old"]) / 2, mine["difference"], "o", color=BLUE, ms=4, mec="white", mew=0.5)
            axes.set_title(f"{name}  (n = {row['n']:.0f})", fontsize=10, loc="left")
        for axes in panels[len(contrasts) :]:
            axes.set_visible(False)
        figure.supxlabel("mean of both versions (mm²)", fontsize=10)
        figure.supylabel("new − old (mm²)", fontsize=10)
    return figure


def line_figure(csa: pd.DataFrame, pairs: pd.DataFrame, versions: Sequence[Shown], x: str, y: str) -> Figure:
    """CSA in contrast ``y`` over CSA in contrast ``x``: a point a participant and session, a line a version, identity.

    Parameters
    ----------
    csa : columns version, dataset, participant, session, contrast, csa_mm2
    pairs : columns version, contrast_x, contrast_y, n, slope, intercept_mm2, r2
    """
    lines = pairs[(pairs["contrast_x"] == x) & (pairs["contrast_y"] == y)].set_index("version")
    case = ["version", "dataset", "participant", "session", "contrast"]
    wide = csa.set_index(case)["csa_mm2"].unstack("contrast")  # noqa: PD010 - one value each
    wide = wide.reindex(columns=[x, y]).dropna()
    with mpl.rc_context(STYLE):
        figure = new_figure(6.4, 4.6)
        axes = figure.subplots()
        colour = colours(versions)
        for shown in versions:
            mine = wide[wide.index.get_level_values("version") == shown.version]
            row = lines.loc[shown.version]
            label = f"{shown.label}, n = {row['n']:.0f}"
            if np.isfinite(row["slope"]):
                label += f": {row['intercept_mm2']:.1f} + {row['slope']:.2f} x, r² {row['r2']:.2f}"
                ends = np.array([mine[x].min(), mine[x].max()])
                axes.plot(ends, row["intercept_mm2"] + row["slope"] * ends, color=colour[shown.version], lw=1.8)
            axes.plot(mine[x], mine[y], "o", color=colour[shown.version], ms=5, mec="white", mew=0.6, label=label)
        if len(wide):
            ends = np.array([wide.to_numpy().min(), wide.to_numpy().max()])
            axes.plot(ends, ends, color="#6b727a", lw=1, ls=":", label="identity")
        axes.set_xlabel(f"CSA in {x} (mm²)")
        axes.set_ylabel(f"CSA in {y} (mm²)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1 if len(versions) < 4 else 2, fontsize=9)
    return figure


def matrix_figure(pairs: pd.DataFrame, contrasts: Sequence[str]) -> Figure:
    """Mean difference of CSA between every two contrasts of one version: row - column, mm2, with its n.

    Parameters
    ----------
    pairs : columns contrast_x, contrast_y, n, difference_mm2; one row a pair
    """
    order = list(contrasts)
    grid = pairs.pivot(index="contrast_y", columns="contrast_x", values="difference_mm2")  # noqa: PD010 - one row a pair
    grid = grid.reindex(index=order[1:], columns=order[:-1])
    counts = pairs.pivot(index="contrast_y", columns="contrast_x", values="n")  # noqa: PD010
    counts = counts.reindex(index=order[1:], columns=order[:-1])
    values = grid.to_numpy(dtype=np.float64)
    text = [
        ["" if np.isnan(v) else f"{v:+.2f}\nn = {n:.0f}".replace("-", "−") for v, n in zip(*rows, strict=True)]
        for rows in zip(values, counts.to_numpy(dtype=np.float64), strict=True)
    ]
    reach = max(0.5, float(np.nanmax(np.abs(values), initial=0.0)))
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = new_figure(6.4, 0.62 * len(order) + 0.9)
        axes = figure.subplots()
        seaborn.heatmap(
            grid, ax=axes, cmap="RdBu_r", vmin=-reach, vmax=reach, annot=np.array(text), fmt="", linewidths=1.5,
            annot_kws={"fontsize": 8.5}, cbar_kws={"label": "row − column (mm²)", "shrink": 0.8},
        )  # fmt: skip
        axes.set(xlabel="", ylabel="")
        axes.tick_params(axis="both", rotation=0)
    return figure


def _reach(rows: pd.DataFrame) -> NDArray[np.float64]:
    values = rows[["bias_mm2", "ci_low_mm2", "ci_high_mm2"]].to_numpy(dtype=np.float64)
    return np.asarray(values[np.isfinite(values)])


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
        axes.annotate(
            f"{mean:.2f}", (place + 0.42, mean), ha="left", va="center", fontsize=10, color=colour, weight="bold"
        )


def _spread(place: float, n: int, half: float) -> NDArray[np.float64]:
    """Positions beside each other for points in order of value, the same on every run."""
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
            mine = table[table["version"] == shown.version]
            for place, contrast in enumerate(contrasts):
                values = _values(mine[mine["contrast"] == contrast][column])
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
