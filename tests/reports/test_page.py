"""The page in a browser: nothing is cut off, on a screen and on a phone, and neither is a word of a figure."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cords import Workspace, keep_as_prior

from stages import compare, measure, report
from stages.core.images.volumes import read, write
from stages.core.reports.drift_report import report as written

pytestmark = pytest.mark.slow

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PEOPLE = [f"sub-quitealongnameofacentreofscanners{number:02d}" for number in range(6)]
#: What a person would see: text wider than its box, a table that reaches out of the page, a picture that is not there.
LOOK = """
const seen = {width: innerWidth, page: document.documentElement.scrollWidth, cut: [], tables: [], images: []};
for (const one of document.querySelectorAll("h1, h2, h3, p, li, dd, dt, figcaption, th, td"))
  if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
    seen.cut.push(one.tagName + ": " + one.innerText.slice(0, 60));
for (const one of document.querySelectorAll(".wide"))
  seen.tables.push({text: one.innerText.slice(0, 60), scrolls: one.scrollWidth > one.clientWidth + 1,
                    overflow: getComputedStyle(one).overflowX, bar: one.offsetHeight > one.clientHeight});
for (const one of document.images) seen.images.push(one.naturalWidth);
parent.postMessage(JSON.stringify(seen), "*");
"""
#: A frame as wide as a phone: the window of a browser without a screen is never narrower than 500 pixels.
FRAME = """<!doctype html><body><script>
addEventListener("message", (event) => { document.body.dataset.seen = event.data; });
</script><iframe src="page.html" style="border: 0; width: %dpx; height: 4000px"></iframe></body>"""


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The figures of the report, by name."""
    return {}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, figures: dict[str, Any]) -> Path:
    """A report with long names, a mask off the cord, a mask that is not covered, a lost one and one far too large."""
    root = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        workspace = Workspace(root, PEOPLE)
        workspace.segment("b" * 64, 0.1)
        measure.main()
        keep_as_prior(workspace, "b" * 64)
        workspace.params["register"]["label"] = "v2.0-of-a-long-name"
        workspace.write_params()
        workspace.segment("d" * 64, 0.2, failed=[(PEOPLE[3], "DWI")])
        for person, contrast, change in (
            (0, "T2star", lambda data: np.roll(data, 12, axis=0)),
            (1, "T1w", lambda data: data * (np.arange(data.shape[2]) < 8)),
            (2, "MTon", lambda data: np.maximum(np.roll(data, 1, axis=1), np.roll(data, -1, axis=1))),
        ):
            for kind in ("binary", "soft"):
                name = f"{PEOPLE[person]}/anat/{PEOPLE[person]}_{contrast}_{kind}.nii.gz"
                path = root / f"reports/segment/set/{person % 2}/set" / name
                old = read(path)
                write(path, change(old.data).astype(np.uint8 if kind == "binary" else np.float32), old.affine)
        measure.main()
        compare.main()
        original = written.draw_figures

        def kept(*arguments: Any) -> Any:
            drawn = original(*arguments)
            figures.update({name: drawing.figure for name, drawing in drawn.items()})
            return drawn

        patch.setattr(written, "draw_figures", kept)
        for name in ("gallery_figure", "contour_figure"):
            patch.setattr(written, name, _keeping(getattr(written, name), figures))
        report.main([])
    return root / "reports/report/index.html"


def _keeping(draw: Any, figures: dict[str, Any]) -> Any:
    def drawn(*arguments: Any, **options: Any) -> Any:
        return figures.setdefault(draw.__name__, draw(*arguments, **options))

    return drawn


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off_in_a_browser(page: Path, tmp_path: Path, width: int) -> None:
    seen = looked_at(page, tmp_path, width)
    assert seen["page"] <= seen["width"], "the page itself must not scroll to the side"
    assert seen["cut"] == []
    assert seen["images"]
    assert all(seen["images"])
    assert len(seen["tables"]) > 20
    wide = [table for table in seen["tables"] if table["scrolls"]]
    assert all(table["overflow"] == "auto" and table["bar"] for table in wide), "what is wider than the page shows it"
    assert (wide == []) == (width == 1280), wide


def looked_at(page: Path, folder: Path, width: int) -> dict[str, Any]:
    copy = folder / "page.html"
    text = page.read_text(encoding="utf-8")
    copy.write_text(text.replace("</body>", f"<script>{LOOK}</script></body>"), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME % width, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    shown = subprocess.run(
        [str(BROWSER), *options, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000",
         "--window-size=1400,4100", "--dump-dom", (folder / "frame.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = re.search(r'data-seen="([^"]*)"', shown.stdout)
    assert found
    value: dict[str, Any] = json.loads(unescape(found[1]))
    assert value["width"] == width
    return value


def test_no_word_of_a_figure_is_cut_off(page: Path, figures: dict[str, Any]) -> None:
    assert {"bias", "bland_altman", "csa", "dice", "line", "matrix", "gallery_figure", "contour_figure"} <= set(figures)
    for name, figure in figures.items():
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        used = figure.get_tightbbox()
        assert used.x0 >= -0.02, name
        assert used.y0 >= -0.02, name
        assert used.x1 <= width + 0.02, name
        assert used.y1 <= height + 0.02, name
        titles = [axes.title.get_window_extent() for axes in figure.axes if axes.get_visible() and axes.get_title()]
        assert not any(one.overlaps(other) for one, other in combinations(titles, 2)), name


def test_a_mask_that_misses_the_cord_is_shown_beside_the_reference(page: Path, figures: dict[str, Any]) -> None:
    """Prediction and reference of Dice 0 both lie in the picture."""
    gallery = figures["gallery_figure"]
    (axes,) = (one for one in gallery.axes if "T2star" in one.get_title() and "off" not in one.get_title())
    contours = [path for one in axes.collections for path in one.get_paths() if len(path.vertices)]
    assert len(contours) == 2
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    for path in contours:
        x, y = path.vertices.T
        assert (x >= left).all()
        assert (x <= right).all()
        assert (y >= low).all()
        assert (y <= high).all()
