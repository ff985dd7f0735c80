"""Pictures of masks on images: one column per contrast, axial above, sagittal below, cropped around the cord."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ...base.errors import DatasetError, ImageError
from ...data.datasets.manifest import CLONES, Manifest, locate
from ...images.volumes import Volume, read, read_on_grid
from ...model.segmentation.predictions import CaseId, Segmentation, id_of_case
from ...pages.canvas import STYLE, new_figure
from ...tables.monitored import CASE

PREDICTED, TRUE, BEFORE = "#ffb000", "#3fd0ff", "#ff5fa2"
#: Letters of a title that fit above a picture of the gallery.
MOST_LETTERS = 28
#: Distance from the centre of the cord to the edges of the axial picture, mm.
AROUND_MM = 14.0
Cut = Callable[[Volume], NDArray[np.float32]]


@dataclass(frozen=True)
class Panel:
    """One case.

    Attributes
    ----------
    image : None when it could not be read, so that there is no prediction either
    slice_index : the axial slice to show; None: the middle of the mask
    before : mask of an earlier version
    """

    title: str
    image: Volume | None
    prediction: Volume | None
    reference: Volume | None
    slice_index: int | None
    before: Volume | None = None


@dataclass(frozen=True)
class Source:
    """The images, the masks and the measures of the candidate.

    Attributes
    ----------
    manifests, clones : of the monitored datasets
    measures : measures.csv, which says in which slices the ``levels`` lie; the middle one of these slices is shown
    """

    manifests: Sequence[Manifest]
    segmentation: Segmentation
    measures: pd.DataFrame
    levels: Sequence[int]
    clones: Path = CLONES

    def panels(self, dataset: str, participant: str, session: str, contrasts: Sequence[str]) -> list[Panel]:
        """Return a panel for each contrast of one participant, in the order of ``contrasts``.

        Parameters
        ----------
        dataset, participant, session : whose images are shown; the session may be ``""``
        contrasts : those that the participant lacks are left out
        """
        found = [self.panel((dataset, participant, session, contrast), contrast) for contrast in contrasts]
        return [panel for panel in found if panel is not None]

    def panel(self, key: CaseId, title: str, before: Volume | None = None) -> Panel | None:
        """Read the image and the masks of one case; None where there is no such case.

        Raises
        ------
        DatasetError, ImageError
            A file is missing, edited or on another grid; of an image only if it was segmented.
        """
        for manifest, case in ((m, c) for m in self.manifests for c in m.case_list() if id_of_case(c) == key):
            predicted = self.segmentation.predictions[key].binary
            try:
                path = locate(manifest, case.image, self.clones)
                image = read(path)
            except (DatasetError, ImageError):
                if predicted is not None:
                    raise
                return Panel(title, None, None, None, None)
            prediction = read_on_grid(predicted, image, path) if predicted else None
            reference = read_on_grid(locate(manifest, case.mask, self.clones), image, path) if case.mask else None
            measures = self.measures[(self.measures[CASE] == list(key)).all(axis=1)]
            same = before if before is not None and before.data.shape == image.data.shape else None
            return Panel(title, image, prediction, reference, _middle(measures, self.levels), same)
        return None


def contour_figure(panels: Sequence[Panel], *, anatomy: bool = True) -> Figure:
    """Draw the panels: image in grey, predicted contour yellow, reference contour blue dashed, in mm.

    Axial: the patient's right is on the left (radiological), the front is up. Sagittal: the front is on the left,
    the head is up. Without ``anatomy`` the contours stand alone.
    """
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = new_figure(max(2.2, 1.9 * len(panels)), 5.4)
        grid = figure.subplots(2, max(1, len(panels)), squeeze=False, height_ratios=[1, 1.7])
        for column, panel in enumerate(panels):
            grid[0][column].set_title(panel.title, fontsize=11)
            if panel.image is None:
                for axes in grid[:, column]:
                    axes.set_axis_off()
                grid[0][column].text(0.5, 0.5, "no image", ha="center", transform=grid[0][column].transAxes)
                continue
            centre = _centre(panel, panel.image)
            _axial(grid[0][column], panel, panel.image, centre, anatomy)
            _sagittal(grid[1][column], panel, panel.image, centre, anatomy)
            said = _missing(panel, centre[2]) or ("no reference" if panel.reference is None else "")
            grid[0][column].set_xlabel(said, fontsize=9)
        lines = [Line2D([], [], color=PREDICTED, lw=2), Line2D([], [], color=TRUE, lw=2, ls="--")]
        figure.legend(lines, ["predicted", "reference"], loc="outside lower center", ncols=2)
    return figure


def gallery_figure(panels: Sequence[Panel], *, anatomy: bool = True) -> Figure:
    """Draw the axial slice of each case, five in a row: new contour yellow, old one pink, reference blue dashed."""
    columns = min(5, max(1, len(panels)))
    rows = -(-len(panels) // columns)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        titles = [_fitting(panel.title) for panel in panels]
        lines = max(map(len, titles), default=1)
        # A picture of 1.9 inches, its title above it and a line below it; the legend below all of them.
        figure = new_figure(max(4.2, 2.0 * columns), (2.2 + 0.15 * lines) * rows + 0.5)
        figure.set_layout_engine("constrained", h_pad=0.08)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel, title in zip(grid, panels, titles, strict=False):
            axes.set_title("\n".join([*title, *[""] * (lines - len(title))]), fontsize=8.5)
            if panel.image is None:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "no image", ha="center", transform=axes.transAxes)
            else:
                centre = _centre(panel, panel.image)
                _axial(axes, panel, panel.image, centre, anatomy)
                axes.set_xlabel(_missing(panel, centre[2]), fontsize=8.5)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        named = [("new", PREDICTED, "-"), ("old", BEFORE, "-"), ("reference", TRUE, "--")]
        if all(panel.before is None for panel in panels):
            del named[1]
        styles = [Line2D([], [], color=colour, lw=2, ls=style) for _, colour, style in named]
        figure.legend(styles, [name for name, _, _ in named], loc="outside lower center", ncols=3)
    return figure


def _fitting(title: str) -> list[str]:
    """Return a title in lines that are no wider than a picture; Matplotlib takes a dollar for a formula."""
    return [part.replace("$", r"\$") for line in title.split("\n") for part in wrap(line, MOST_LETTERS) or [""]]


def _middle(measures: pd.DataFrame, levels: Sequence[int]) -> int | None:
    rows = measures[(measures["scope"] == "slice") & measures["level"].isin(list(levels))]
    index = sorted({int(value) for value in rows["slice"]})
    return index[len(index) // 2] if index else None


def _centre(panel: Panel, image: Volume) -> tuple[int, int, int]:
    """Voxel to cut through: the cord's centre in the slice to show."""
    mask = next(
        (m for m in (panel.prediction, panel.reference, panel.before) if m is not None and (m.data >= 0.5).any()), None
    )
    shape = image.data.shape
    if mask is None:
        return shape[0] // 2, shape[1] // 2, shape[2] // 2 if panel.slice_index is None else panel.slice_index
    body = mask.data >= 0.5
    held = np.flatnonzero(body.any(axis=(0, 1)))
    wanted = int(held[len(held) // 2]) if panel.slice_index is None else panel.slice_index
    nearest = int(held[np.abs(held - wanted).argmin()])
    x, y = np.argwhere(body[:, :, nearest]).mean(axis=0)
    return round(float(x)), round(float(y)), wanted


def _axial(axes: Axes, panel: Panel, image: Volume, centre: tuple[int, int, int], anatomy: bool) -> None:
    px, py, _ = image.spacing_mm
    k = centre[2]
    _show(axes, panel, image, lambda volume: volume.data[:, :, k].T, (px, py), anatomy)
    x_mm, y_mm, around_mm = _window(panel, centre, (px, py))
    axes.set_xlim(x_mm + around_mm, x_mm - around_mm)
    axes.set_ylim(y_mm - around_mm, y_mm + around_mm)


def _window(panel: Panel, centre: tuple[int, int, int], spacing_mm: tuple[float, float]) -> tuple[float, float, float]:
    """Return the middle of the axial picture and the distance to its edges, mm: prediction and reference lie in it."""
    middle = np.array(centre[:2]) * spacing_mm
    held = [np.argwhere(m.data[:, :, centre[2]] >= 0.5) for m in (panel.prediction, panel.reference) if m is not None]
    points = np.concatenate([np.zeros((0, 2)), *held]) * spacing_mm
    if not len(points) or np.abs(points - middle).max() <= AROUND_MM - 1.0:
        return float(middle[0]), float(middle[1]), AROUND_MM
    low, high = points.min(axis=0), points.max(axis=0)
    x_mm, y_mm = (low + high) / 2.0
    return float(x_mm), float(y_mm), max(AROUND_MM, float((high - low).max()) / 2.0 + 3.0)


def _missing(panel: Panel, k: int) -> str:
    """Say which contour the axial picture lacks, and why; empty where it has both, or there is no reference."""
    if panel.prediction is None:
        return "no prediction"
    if not (panel.prediction.data[:, :, k] >= 0.5).any():
        return "no prediction in this slice"
    return ""


def _sagittal(axes: Axes, panel: Panel, image: Volume, centre: tuple[int, int, int], anatomy: bool) -> None:
    _, py, pz = image.spacing_mm
    i = centre[0]
    _show(axes, panel, image, lambda volume: volume.data[i].T, (py, pz), anatomy)
    middle = centre[1] * py
    axes.set_xlim(middle + 1.6 * AROUND_MM, middle - 1.6 * AROUND_MM)
    axes.set_ylim(centre[2] * pz - 2.6 * AROUND_MM, centre[2] * pz + 2.6 * AROUND_MM)
    axes.axhline(centre[2] * pz, color="white", lw=0.6, ls=":")


def _show(axes: Axes, panel: Panel, image: Volume, cut: Cut, spacing_mm: tuple[float, float], anatomy: bool) -> None:
    """Draw one plane: its first axis to the right, its second up. The limits of the axes may mirror it afterwards."""
    plane = cut(image)
    low, high = np.percentile(plane, [1.0, 99.5])
    height, width = plane.shape
    extent = (
        -0.5 * spacing_mm[0],
        (width - 0.5) * spacing_mm[0],
        -0.5 * spacing_mm[1],
        (height - 0.5) * spacing_mm[1],
    )
    plane = plane if anatomy else np.zeros_like(plane)
    axes.imshow(plane, cmap="gray", origin="lower", extent=extent, vmin=low, vmax=max(high, low + 1e-6), aspect="equal")
    axes.set_facecolor("black")
    drawn = ((panel.before, BEFORE, "-"), (panel.reference, TRUE, "--"), (panel.prediction, PREDICTED, "-"))
    for mask, colour, style in drawn:
        if mask is None:
            continue
        body = np.pad(
            (cut(mask) >= 0.5).astype(np.float64), 1
        )  # a border of zeros, so that a contour closes at the edge of the image
        if body.any():
            x = (np.arange(width + 2) - 1) * spacing_mm[0]
            y = (np.arange(height + 2) - 1) * spacing_mm[1]
            axes.contour(x, y, body, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.3)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
