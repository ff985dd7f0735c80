"""A picture of one measured mask: the cord from the side, six cross-sections with their axes, CSA along the cord.

Heights are in mm above the first slice of the volume, and both outer panels use the same heights. Cross-sections are
seen from below, with the patient's right on the left. The view from the side has the front on the left.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from ...images.volumes import Volume
from ...pages.canvas import BLUE, GREY, STYLE, new_figure, png_bytes
from ..morphometry.csa import Sections
from ..morphometry.levels import level_name

Floats = NDArray[np.float64]
OUTLINE, AXES, LINE = "#ffb000", "#3fd0ff", "#e8505b"
#: Colours of the vertebrae, which alternate so that neighbours differ.
BAND_COLOURS = ("#dbe8f4", "#f4e6d3")
#: Margins around the cord, mm: beside it in a cross-section, in front of and behind it, above and below it.
BESIDE_MM, BEFORE_MM, ABOVE_MM = 13.0, 22.0, 12.0
SECTIONS = 6


def picture(mask: Volume, sections: Sections, table: pd.DataFrame, *, title: str, image: Volume | None = None) -> bytes:
    """Draw a measured mask as PNG; the same input gives the same bytes.

    Parameters
    ----------
    mask : the mask that was measured
    sections, table : its measures
    title : title of the picture
    image : drawn under the outline of the mask, on the same grid; without an image the mask is drawn there
    """
    return png_bytes(draw(mask, sections, table, title=title, image=image))


def draw(mask: Volume, sections: Sections, table: pd.DataFrame, *, title: str, image: Volume | None = None) -> Figure:
    """Return the figure of :func:`picture` before it is rendered; arguments as for that function."""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = new_figure(14.0, 7.4)
        figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
        figure.supxlabel(_summary(table), fontsize=10.5, x=0.01, ha="left")
        if not len(sections.index):
            figure.text(0.5, 0.5, "the mask is empty: nothing was measured", ha="center", fontsize=14, color=GREY)
            return figure
        side, middle, along = figure.subfigures(1, 3, width_ratios=[3.0, 6.6, 3.6], squeeze=False)[0]
        slices = table[table["scope"] == "slice"]
        shown = _values(mask if image is None else image, sections)
        _from_the_side(side.subplots(), mask, shown, sections, slices)
        grid = middle.subplots(2, 3).ravel()
        for axes, k in zip(grid, _chosen(slices), strict=False):
            _cross_section(axes, mask, shown, sections, slices.iloc[k], k)
        for axes in grid[len(_chosen(slices)) :]:
            axes.set_axis_off()
        _along_the_cord(along.subplots(), mask.spacing_mm[2], slices, table)
        lines = [Line2D([], [], color=colour, lw=2) for colour in (OUTLINE, AXES, LINE)]
        names = ["outline at one half", "moment ellipse and its axes", "centreline"]
        middle.legend(lines, names, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _summary(table: pd.DataFrame) -> str:
    row = table[table["scope"] == "range"].iloc[0]
    name, n, flags = row["levels"], int(row["n_slices"]) if pd.notna(row["n_slices"]) else 0, row["flags"]
    said = f"   flags: {flags}" if flags else ""
    if pd.isna(row["csa_mm2"]):
        return f"{name}: not measured{said}"
    spread = "" if pd.isna(row["csa_sd_mm2"]) else f" ± {row['csa_sd_mm2']:.2f}"
    return (
        f"{name}: CSA {row['csa_mm2']:.2f}{spread} mm² over {n} slices, coverage {row['coverage']:.0%}, "
        f"AP {row['diameter_ap_mm']:.2f} mm, RL {row['diameter_rl_mm']:.2f} mm, solidity {row['solidity']:.3f}{said}"
    )


def _values(volume: Volume, sections: Sections) -> NDArray[np.float32]:
    """Return voxel values scaled to [0, 1] by the percentiles of the slices that hold cord."""
    part = volume.data[:, :, sections.index]
    low, high = np.percentile(part, [1.0, 99.5])
    return np.asarray(np.clip((volume.data - low) / max(float(high - low), 1e-6), 0.0, 1.0), dtype=np.float32)


def _from_the_side(
    axes: Axes, mask: Volume, shown: NDArray[np.float32], sections: Sections, slices: pd.DataFrame
) -> None:
    """Draw a cut along the centreline, so that a cord that leans to the side stays in view."""
    px, py, pz = mask.spacing_mm
    line, height = sections.line, sections.index * pz
    every = np.arange(mask.data.shape[2])
    x = np.clip(np.round(np.interp(every * pz, height, line.x_mm) / px), 0, mask.data.shape[0] - 1).astype(int)
    plane, body = (data[x, :, every].T for data in (shown, mask.data))
    # Drawn with the front on the left: y runs backwards.
    extent = (-0.5 * py, (plane.shape[0] - 0.5) * py, -0.5 * pz, (plane.shape[1] - 0.5) * pz)
    axes.imshow(plane.T, cmap="gray", vmin=0, vmax=1, origin="lower", extent=extent, interpolation="nearest")
    _outline(axes, np.arange(plane.shape[0]) * py, every * pz, body)
    axes.plot(line.y_mm, height, color=LINE, lw=1.2)
    front = float(line.y_mm.max()) + BEFORE_MM
    for number, (level, low, high) in enumerate(_bands(slices, pz)):
        axes.plot([front - 2.0] * 2, [low, high], color=("#6ea8d8", "#d8a86e")[number % 2], lw=5, solid_capstyle="butt")
        axes.text(front - 4.0, (low + high) / 2, level, color="white", va="center", fontsize=9, fontweight="bold")
    axes.set_xlim(front, float(line.y_mm.min()) - BEFORE_MM)
    axes.set_ylim(float(height[0]) - pz / 2 - ABOVE_MM, float(height[-1]) + pz / 2 + ABOVE_MM)
    axes.set_title("from the side, along the centreline", fontsize=10)
    axes.set_xlabel("front ← mm → back")
    axes.set_ylabel("height (mm)")
    axes.set_facecolor("black")


def _cross_section(
    axes: Axes, mask: Volume, shown: NDArray[np.float32], sections: Sections, row: pd.Series[Any], k: int
) -> None:
    px, py, _ = mask.spacing_mm
    index = int(row["slice"])
    body = mask.data[:, :, index].astype(np.float64)
    x, y = np.arange(body.shape[0]) * px, np.arange(body.shape[1]) * py
    centre = np.array([body.sum(axis=1) @ x, body.sum(axis=0) @ y]) / body.sum()
    extent = (-0.5 * px, x[-1] + 0.5 * px, -0.5 * py, y[-1] + 0.5 * py)
    axes.imshow(shown[:, :, index].T, cmap="gray", vmin=0, vmax=1, origin="lower", extent=extent)
    _outline(axes, x, y, body)
    # The ellipse is that of the slice as it is drawn; the numbers below it are of the tilt-corrected section.
    values, vectors = np.linalg.eigh(_moments(body, x - centre[0], y - centre[1]))
    minor, major = 4.0 * np.sqrt(np.maximum(values, 0.0))
    turn = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    axes.add_patch(Ellipse((centre[0], centre[1]), major, minor, angle=turn, fill=False, color=AXES, lw=1.0))
    for length, vector in ((major, vectors[:, 1]), (minor, vectors[:, 0])):
        ends = centre[:, None] + np.outer(vector, [-0.5, 0.5]) * length
        axes.plot(ends[0], ends[1], color=AXES, lw=1.0)
    axes.plot(sections.line.x_mm[k], sections.line.y_mm[k], "o", color=LINE, ms=3.5)
    axes.set_xlim(centre[0] + BESIDE_MM, centre[0] - BESIDE_MM)
    axes.set_ylim(centre[1] - BESIDE_MM, centre[1] + BESIDE_MM)
    level = level_name(int(row["level"])) if pd.notna(row["level"]) else "no level"
    axes.set_title(f"slice {index}, {level}: {row['csa_mm2']:.1f} mm²", fontsize=10)
    axes.set_xlabel(f"AP {row['diameter_ap_mm']:.1f}  RL {row['diameter_rl_mm']:.1f} mm", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    for place, text in (((0.03, 0.5), "R"), ((0.97, 0.5), "L"), ((0.5, 0.95), "front")):
        dark = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1.2}
        axes.text(
            *place, text, color="white", fontsize=8, ha="center", va="center", transform=axes.transAxes, bbox=dark
        )


def _along_the_cord(axes: Axes, slice_mm: float, slices: pd.DataFrame, table: pd.DataFrame) -> None:
    height = slices["slice"].to_numpy(dtype=np.float64) * slice_mm
    csa = slices["csa_mm2"].to_numpy(dtype=np.float64)
    flagged = slices["flags"].to_numpy() != ""
    axes.plot(csa, height, color=BLUE, lw=0.8, alpha=0.5)
    axes.plot(csa[~flagged], height[~flagged], "o", ms=4, color=BLUE, label="slice")
    if flagged.any():
        axes.plot(csa[flagged], height[flagged], "o", ms=4.5, mfc="white", color=BLUE, label="slice with a flag")
    room = max(4.0, 0.35 * float(np.ptp(csa)))
    left = float(csa.min()) - room
    for number, (level, low, high) in enumerate(_bands(slices, slice_mm)):
        axes.axhspan(low, high, color=BAND_COLOURS[number % 2], zorder=0)
        axes.text(left + 0.15 * room, (low + high) / 2, level, va="center", fontsize=10, fontweight="bold")
    row = table[table["scope"] == "range"].iloc[0]
    if pd.notna(row["csa_mm2"]):
        named = slices["level"].isin(_levels_of(row, slices))
        ends = height[named.to_numpy()]
        axes.plot([row["csa_mm2"]] * 2, [ends.min() - slice_mm / 2, ends.max() + slice_mm / 2], color=LINE, lw=2)
        axes.plot([], [], color=LINE, lw=2, label=f"mean of {row['levels']}: {row['csa_mm2']:.1f} mm²")
    axes.set_xlim(left, float(csa.max()) + room)
    axes.set_ylim(height[0] - slice_mm / 2 - ABOVE_MM, height[-1] + slice_mm / 2 + ABOVE_MM)
    axes.grid(axis="x", visible=True)
    axes.set_title("along the cord", fontsize=10)
    axes.set_xlabel("CSA (mm²)")
    axes.legend(loc="upper right", fontsize=8.5, frameon=True)


def _levels_of(row: pd.Series[Any], slices: pd.DataFrame) -> list[int]:
    """Return the vertebrae of the range, from its name, that slices belong to."""
    first, _, last = str(row["levels"]).partition("-")
    known = sorted({int(level) for level in slices["level"].dropna()})
    names = {level_name(level): level for level in range(1, 26)}
    return [level for level in known if names[first] <= level <= names[last or first]]


def _bands(slices: pd.DataFrame, slice_mm: float) -> list[tuple[str, float, float]]:
    """Return name, lower and upper end (mm) of each known level, from above."""
    bands = []
    for level in sorted(set(slices["level"].dropna().astype(int))):
        held = slices["slice"][slices["level"] == level].astype(int)
        bands.append((level_name(level), (int(held.min()) - 0.5) * slice_mm, (int(held.max()) + 0.5) * slice_mm))
    return bands


def _chosen(slices: pd.DataFrame) -> list[int]:
    """Return the rows of the cross-sections to show, evenly spaced and from above.

    They are chosen among the slices with a known level, if there are enough of these.
    """
    known = np.flatnonzero(slices["level"].notna().to_numpy())
    pool = known if len(known) >= SECTIONS else np.arange(len(slices))
    places = np.unique(np.round(np.linspace(0, len(pool) - 1, min(SECTIONS, len(pool)))).astype(int))
    return [int(k) for k in pool[places][::-1]]


def _moments(body: Floats, x: Floats, y: Floats) -> Floats:
    weight = body / body.sum()
    cross = x @ weight @ y
    return np.array([[x**2 @ weight.sum(axis=1), cross], [cross, y**2 @ weight.sum(axis=0)]])


def _outline(axes: Axes, x: NDArray[Any], y: NDArray[Any], body: NDArray[Any]) -> None:
    """Draw the contour at half of the maximum, unless the plane is empty or a single line of voxels."""
    half = 0.5 * float(body.max())
    if half > 0.0 and min(body.shape) > 1:
        axes.contour(x, y, body.T, levels=[half], colors=[OUTLINE], linewidths=1.1)
