"""The chart of input drift: how far two groups of images are apart in each feature, and how far by chance."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...pages.canvas import BLUE, STYLE, new_figure

CHANCE = "#c9ced6"


def inputs_figure(shifts: pd.DataFrame, meaning: Mapping[str, str]) -> Figure:
    """Draw the distance of every feature over what random splits reach, one panel for each comparison.

    Parameters
    ----------
    shifts : columns a, b, feature, distance, expected, differs
    meaning : feature -> words
    """
    pairs = [pair for pair, rows in shifts.groupby(["a", "b"], sort=False) if rows["distance"].notna().any()]
    known = shifts[shifts["distance"].notna()]
    names = list(dict.fromkeys(known["feature"]))
    with mpl.rc_context(STYLE):
        figure = new_figure(3.0 + 3.2 * len(pairs), 0.24 * len(names) + 1.1)
        panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
        for axes, (a, b) in zip(panels, pairs, strict=True):
            rows = shifts[(shifts["a"] == a) & (shifts["b"] == b)].set_index("feature").reindex(names)
            place = np.arange(len(names))
            axes.barh(place, rows["expected"], height=0.7, color=CHANCE, lw=0)
            differs = rows["differs"].fillna(False).astype(bool).to_numpy()
            for flag, fill in ((False, "white"), (True, BLUE)):
                axes.plot(rows["distance"][differs == flag], place[differs == flag], "o", color=BLUE, mfc=fill, ms=6)
            axes.set_title(f"{b} against {a}", fontsize=9)
            axes.set_xlabel("distance")
            axes.set_xlim(left=-0.03)
            axes.grid(axis="y", visible=False)
        panels[0].set_yticks(range(len(names)), [meaning.get(name, name) for name in names])
        panels[0].set_ylim(len(names) - 0.4, -0.6)
    return figure
