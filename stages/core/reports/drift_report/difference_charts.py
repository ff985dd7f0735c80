"""Charts of differences: between two versions, or between the contrasts of one; each a function of one table."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...pages.canvas import BLUE, MARGIN, STYLE, new_figure
from .charts import colours
from .wording import Shown, number


def bias_figure(bias: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Draw the bias by contrast and pooled, each over the band of its margin, with both intervals of the verdict.

    The thick one has the level 1 - 2 alpha (the row is equivalent where it lies inside the band and no case is
    missing), the thin one 1 - alpha.

    Parameters
    ----------
    bias : columns contrast, n, bias_mm2, margin_mm2, ci_low_mm2, ci_high_mm2, inner_low_mm2, inner_high_mm2; one row
        per name in ``order``
    order : names of the rows from top to bottom; the last one is pooled
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(6.4, 0.38 * len(order) + 1.0)
        axes = figure.subplots()
        axes.axvline(0, color="#6b727a", lw=1, zorder=1)
        rows = bias.set_index("contrast").reindex(list(order))
        for place, (name, row) in enumerate(rows.iterrows()):
            pooled, margin = name == order[-1], row["margin_mm2"]
            if np.isfinite(margin):
                axes.fill_betweenx([place - 0.5, place + 0.5], -margin, margin, color=MARGIN, lw=0, zorder=0)
            if np.isfinite(row["ci_low_mm2"]):
                axes.plot([row["ci_low_mm2"], row["ci_high_mm2"]], [place, place], color=BLUE, lw=1.2)
                inner = [row["inner_low_mm2"], row["inner_high_mm2"]]
                axes.plot(inner, [place, place], color=BLUE, lw=5, alpha=0.55, solid_capstyle="butt")
            axes.plot(row["bias_mm2"], place, "D" if pooled else "o", color=BLUE, ms=8 if pooled else 6)
        counts = [0 if pd.isna(n) else int(n) for n in rows["n"]]
        axes.set_yticks(range(len(order)), [f"{name}  (n = {n})" for name, n in zip(order, counts, strict=True)])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlabel("new − old (mm²); green band: the row's margin")
        widest = float(np.nanmax(rows["margin_mm2"].to_numpy(dtype=np.float64), initial=0.0))
        reach = 1.15 * max(widest, float(np.nanmax(np.abs(_reach(rows)), initial=0.0)))
        axes.set_xlim(-reach, reach)
        axes.grid(axis="y", visible=False)
    return figure


def bland_altman_figure(pairs: pd.DataFrame, concordance: pd.DataFrame, contrasts: Sequence[str]) -> Figure:
    """Draw the difference of every case over its mean, one panel per contrast, with bias and limits of agreement.

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
        low, high = usual_range(pairs[pairs["contrast"].isin(list(contrasts))])
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
            mean, value = (mine["new"] + mine["old"]) / 2, mine["difference"]
            axes.plot(mean, value, "o", color=BLUE, ms=4, mec="white", mew=0.5)
            # One far point must not press all others into a line: it becomes an arrow at the edge, with its value.
            for at, far in zip(
                mean[(value < low) | (value > high)], value[(value < low) | (value > high)], strict=True
            ):
                edge, marker = (high, "^") if far > high else (low, "v")
                axes.plot(at, edge, marker, color=BLUE, ms=6, clip_on=False)
                axes.annotate(
                    number(far, 0), (at, edge), (6, -3 if far > high else 3), textcoords="offset points",
                    va="top" if far > high else "bottom", color=BLUE, fontsize=8,
                )  # fmt: skip
            axes.set_ylim(low, high)
            axes.set_title(f"{name}  (n = {row['n']:.0f})", fontsize=10, loc="left")
        for axes in panels[len(contrasts) :]:
            axes.set_visible(False)
        figure.supxlabel("mean of both versions (mm²)", fontsize=10)
        figure.supylabel("new − old (mm²)", fontsize=10)
    return figure


def usual_range(pairs: pd.DataFrame) -> tuple[float, float]:
    """Return the range of differences that the panels show: 0 and, of each contrast, its median +- 5 robust SDs.

    A robust SD is 1.4826 times the median absolute deviation from the median; at least 0.2 mm2 is taken.

    Parameters
    ----------
    pairs : columns contrast, difference (mm2)
    """
    low = high = 0.0
    for _, values in pairs.dropna(subset=["difference"]).groupby("contrast")["difference"]:
        middle = float(values.median())
        reach = 5.0 * max(0.2, 1.4826 * float((values - middle).abs().median()))
        low, high = min(low, middle - reach), max(high, middle + reach)
    return (low, high) if high > low else (-1.0, 1.0)


def line_figure(csa: pd.DataFrame, pairs: pd.DataFrame, versions: Sequence[Shown], x: str, y: str) -> Figure:
    """Draw CSA in contrast ``y`` over CSA in contrast ``x``: points of each session, a line per version, and identity.

    Parameters
    ----------
    csa : columns version, dataset, participant, session, contrast, csa_mm2
    pairs : columns version, contrast_x, contrast_y, n, slope, intercept_mm2, r2
    versions : those to show
    x, y : names of the contrasts
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
                label += f": {number(row['intercept_mm2'], 1)} + {number(row['slope'])} x, r² {row['r2']:.2f}"
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
    """Draw the mean difference of CSA between every two contrasts of one version: row - column, mm2, with its n.

    Parameters
    ----------
    pairs : columns contrast_x, contrast_y, n, difference_mm2; one row per pair
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


def subgroup_figure(table: pd.DataFrame, margin_mm2: float) -> Figure:
    """Draw the bias and its interval in each group of participants, over the band of the margin.

    Parameters
    ----------
    table : columns attribute, group, n, bias_mm2, ci_low_mm2, ci_high_mm2, in the order to show
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(6.4, 0.34 * len(table) + 1.0)
        axes = figure.subplots()
        axes.axvspan(-margin_mm2, margin_mm2, color=MARGIN, lw=0, zorder=0)
        axes.axvline(0, color="#6b727a", lw=1, zorder=1)
        names, before = [], ""
        for place, (_, row) in enumerate(table.iterrows()):
            if np.isfinite(row["ci_low_mm2"]):
                axes.plot([row["ci_low_mm2"], row["ci_high_mm2"]], [place, place], color=BLUE, lw=1.8)
            axes.plot(row["bias_mm2"], place, "o", color=BLUE, ms=6)
            if before and row["attribute"] != before:
                axes.axhline(place - 0.5, color="#dfe3e7", lw=1)
            before = str(row["attribute"])
            name = before if before == row["group"] else f"{before}: {row['group']}"
            # Matplotlib takes a dollar for the beginning of a formula.
            names.append(f"{name}  (n = {row['n']:.0f})".replace("$", r"\$"))
        axes.set_yticks(range(len(table)), names)
        axes.set_ylim(len(table) - 0.5, -0.5)
        axes.set_xlabel(f"new − old (mm²); green band: pooled margin ±{margin_mm2:g} mm²")
        # The interval of two values is very wide. It is cut off, so that the others can be seen.
        shown = table.where(table["n"] > 2, table.assign(ci_low_mm2=np.nan, ci_high_mm2=np.nan))
        reach = 1.15 * max(margin_mm2, float(np.nanmax(np.abs(_reach(shown)), initial=0.0)))
        axes.set_xlim(-reach, reach)
        axes.grid(axis="y", visible=False)
    return figure


def _reach(rows: pd.DataFrame) -> NDArray[np.float64]:
    values = rows[["bias_mm2", "ci_low_mm2", "ci_high_mm2"]].to_numpy(dtype=np.float64)
    return np.asarray(values[np.isfinite(values)])
