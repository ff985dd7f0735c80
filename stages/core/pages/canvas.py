"""Colours, style and size of all figures, and PNG files that are the same for the same figure."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 160
GREY, BLUE, MARGIN = "#8a8f98", "#1f4e79", "#cfe3d4"
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


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG. The file holds neither a date nor a software version."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None}, facecolor="white")
    return stream.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, ``width`` by ``height`` inches, that does not belong to pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
