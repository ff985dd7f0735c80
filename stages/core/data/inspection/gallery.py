"""The page of a check: a summary of the findings, and a picture of every suspect image."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ...base.errors import ImageError
from ...images.header import read_header
from ...images.volumes import Volume, read
from ...pages.canvas import new_figure, png_bytes
from ...pages.templates import style, templates
from ..datasets.findings import Finding
from ..datasets.manifest import CLONES, Manifest, ManifestRow
from .catalogue import MEANING

#: Largest number of pictures on a page, so that it stays readable. Images with errors come first.
PICTURES = 200
#: Half the side of the axial picture, mm.
NEAR_MM = 25.0


def write_page(
    path: Path, manifest: Manifest, table: pd.DataFrame, findings: Sequence[Finding], clones: Path = CLONES
) -> None:
    """Write one self-contained HTML page: images per check, a card for each suspect image, and the clean images.

    Parameters
    ----------
    path : file to write
    manifest : of the dataset
    table : one row per image, with the columns of volumes.csv
    findings : all findings of the dataset
    clones : folder of the clones
    """
    by_case: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        by_case.setdefault(finding.identity, []).append(finding)
    suspects = [case for case in manifest.cases if case.identity in by_case]
    suspects.sort(key=lambda case: (not _has_error(by_case[case.identity]), *case.identity))
    cards = [
        {
            "name": " ".join(part for part in case.identity if part),
            "image": case.image,
            "findings": [
                (finding, *_sentence(case, finding))
                for finding in sorted(by_case[case.identity], key=lambda f: (f.severity, f.check, f.file))
            ],
            "error": _has_error(by_case[case.identity]),
            "picture": _picture(case, clones / manifest.dataset) if place < PICTURES else None,
        }
        for place, case in enumerate(suspects)
    ]
    counts = Counter((check, severity) for check, severity, _ in {(f.check, f.severity, f.identity) for f in findings})
    errors, warned = int((table["errors"] > 0).sum()), int(((table["errors"] == 0) & (table["warnings"] > 0)).sum())
    clean = table[(table["errors"] == 0) & (table["warnings"] == 0)]
    template = templates().get_template("check.html")
    page = template.render(
        css=style(),
        manifest=manifest,
        images=len(table),
        errors=errors,
        warned=warned,
        checks=[
            {"name": check, "severity": severity, "meaning": MEANING[check], "images": n}
            for (check, severity), n in sorted(counts.items(), key=lambda item: (item[0][1], -item[1], item[0][0]))
        ],
        cards=cards,
        pictures=PICTURES,
        clean=clean.astype(object).where(clean.notna(), "").to_dict("records"),
    )
    path.write_text(page, encoding="utf-8")


def _has_error(findings: Sequence[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _sentence(case: ManifestRow, finding: Finding) -> tuple[str, str]:
    """Return subject ("The mask") and rest of the sentence of a finding; the page shows the path elsewhere."""
    subjects = {case.mask: "The mask", case.softmask: "The soft mask", case.discs: "The disc label file"}
    return subjects.get(finding.file, "The image"), finding.message.removeprefix(finding.file).strip()


def _picture(case: ManifestRow, clone: Path) -> str:
    """Return a PNG with two cuts through the cord as a data URL; ``""`` where the image cannot be read."""
    image = _read_if_possible(clone / case.image)
    if image is None:
        return ""
    mask = _read_if_possible(clone / case.mask) if case.mask else None
    discs = _read_if_possible(clone / case.discs) if case.discs else None
    mask, discs = (_on_grid(label, image) for label in (mask, discs))
    inside = np.argwhere(mask.data >= 0.5) if mask is not None else np.empty((0, 3))
    centre = np.median(inside, axis=0).astype(int) if len(inside) else np.array(image.data.shape) // 2
    figure = new_figure(5.2, 3.2)
    side, across = figure.subplots(1, 2)
    low, high = (float(v) for v in np.percentile(image.data, [1, 99.5]))
    dx, dy, dz = image.spacing_mm
    x, y, z = (int(n) for n in centre)
    _cut(side, image.data[x].T, None if mask is None else mask.data.transpose(0, 2, 1), x, dz / dy, (low, high))
    if discs is not None:
        for place in np.argwhere(discs.data > 0):
            number = f"{discs.data[tuple(place)]:.0f}"
            text = side.text(place[1], place[2], number, color="#ffd24d", fontsize=8, ha="center", va="center")
            text.set_path_effects([withStroke(linewidth=2, foreground="#000")])
    cut = None if mask is None else mask.data.transpose(2, 1, 0)
    _cut(across, image.data[:, :, z].T, cut, z, dy / dx, (low, high))
    # The picture is as wide as the mask in any slice, so that it shows pieces far from the cord.
    reach = np.abs(inside[:, :2] - (x, y)).max(axis=0) + 1 if len(inside) else np.zeros(2)
    across.set_xlim(x - max(NEAR_MM / dx, reach[0]), x + max(NEAR_MM / dx, reach[0]))
    across.set_ylim(y - max(NEAR_MM / dy, reach[1]), y + max(NEAR_MM / dy, reach[1]))
    side.set_title("sagittal (front is right)", fontsize=7)
    across.set_title(f"axial, slice {z}", fontsize=7)
    return "data:image/png;base64," + base64.b64encode(png_bytes(figure)).decode()


def _cut(
    axes: Axes,
    image: NDArray[np.float32],
    mask: NDArray[np.float32] | None,
    index: int,
    aspect: float,
    window: tuple[float, float],
) -> None:
    """Draw one cut of an image with the outline of its mask.

    Parameters
    ----------
    image : (rows, columns)
    mask : (slices, rows, columns); the outline is solid for slice ``index``, dotted for the union of all slices
    aspect : height of a pixel relative to its width
    window : intensities that are drawn black and white
    """
    top = max(window[1], window[0] + 1e-6)
    axes.imshow(image, origin="lower", cmap="gray", aspect=aspect, vmin=window[0], vmax=top)
    if mask is not None:
        for outline, style in ((mask.max(axis=0), "dotted"), (mask[index], "solid")):
            if outline.max() > 0.5 > outline.min():
                axes.contour(outline, levels=[0.5], colors=["#ff5a36"], linewidths=0.9, linestyles=style)
    axes.set_axis_off()


def _read_if_possible(path: Path) -> Volume | None:
    """Return a volume, None where it cannot be read."""
    if read_header(path)[0] is None:  # the voxels must not be read
        return None
    try:
        return read(path)
    except ImageError:
        return None


def _on_grid(label: Volume | None, image: Volume) -> Volume | None:
    """Return a mask or label volume that has the shape of the image, else None."""
    return label if label is not None and label.data.shape == image.data.shape else None
