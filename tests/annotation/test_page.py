"""The page on which masks are checked, in a browser: marks by key, a reload, export, import, filters."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.annotation.review.marks import read_review
from stages.core.annotation.review.page import Item, write_review_page
from stages.core.annotation.review.panel import draw_panel
from stages.core.images.volumes import Volume

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
#: Runs after the page's own script; ``act`` does the work and returns what the test looks at.
DRIVER = """<script>
let exported = "";
URL.createObjectURL = (blob) => { blob.text().then((text) => { exported = text; }); return "#"; };
const press = (...keys) => keys.forEach((key) => document.dispatchEvent(new KeyboardEvent("keydown", {key})));
const pause = () => new Promise((done) => setTimeout(done, 20));
(async () => { const seen = await (async () => { %s })(); document.body.dataset.seen = JSON.stringify(seen); })()
  .catch((error) => { document.body.dataset.seen = JSON.stringify({error: String(error)}); });
</script></body>"""
STATE = """
return {says: el("says").textContent, count: el("count").textContent, rows: el("list").children.length,
        note: el("note").textContent, name: el("reviewer").value, exported};
"""


def _volumes() -> tuple[Volume, Volume]:
    x, y, _ = np.indices((30, 28, 12))
    cord = ((x - 14) / 6.0) ** 2 + ((y - 13) / 4.0) ** 2 <= 1
    cord[:, :, [0, 11]] = False
    image = (100 + 50 * cord).astype(np.float32)
    return Volume(image, np.diag([1.0, 1.0, 4.0, 1.0])), Volume(cord.astype(np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    panel = draw_panel(*_volumes())
    items = [
        Item(
            f"{sub}/anat/{sub}_{contrast}.nii.gz", f"KEY-{sub}{contrast}", f"MASK-{sub}{contrast}", sub, "", contrast,
            "siteA", "</script><b>HC", "bundle 0", ["a third of the slices is empty"] if sub == "sub-03" else [],
            0.5 if contrast == "T1w" else 0.2, panel,
        )
        for sub in ("sub-01", "sub-02", "sub-03")
        for contrast in ("T1w", "T2w")
    ]  # fmt: skip
    path = tmp_path / "index.html"
    write_review_page(path, "lab", "data/sources/lab", items)
    return path


def act(page: Path, script: str) -> dict[str, Any]:
    """Open the page in a browser that keeps its profile, run a script on it and return what the script returns."""
    shown = page.with_name("index.html")
    source = page.read_text(encoding="utf-8")
    driven = source.replace("</body>", DRIVER % script)
    shown.write_text(driven, encoding="utf-8")
    try:
        words = [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={page.parent / 'profile'}", "--window-size=1300,800",
            "--virtual-time-budget=4000", "--dump-dom", shown.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    finally:
        shown.write_text(source, encoding="utf-8")
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found, done.stdout[-500:] + done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    assert "error" not in seen, seen
    return seen


def test_marks_by_key_survive_and_are_exported_as_the_command_reads_them(page: Path, tmp_path: Path) -> None:
    first = act(
        page,
        """el("reviewer").value = "A. Reader"; el("reviewer").oninput();
        press("p", "f", "2"); await pause(); press("x", "j", "k");
        el("comment").value = "a \\"b\\" <c>"; el("comment").oninput();
        """
        + STATE,
    )
    # Those in doubt come first; a mark leads to the next image, and the tag 2 belongs to the third.
    assert first["count"] == "3 of 6: 1 pass, 1 fix, 1 fail"
    assert first["says"].startswith(
        "sub-02/anat/sub-02_T1w.nii.gz · siteA · </script><b>HC · bundle 0 · uncertainty 0.50"
    )
    again = act(page, 'press("e"); await pause(); await pause();' + STATE)
    assert (again["name"], again["count"]) == ("A. Reader", "3 of 6: 1 pass, 1 fix, 1 fail")
    exported = tmp_path / "qc.yml"
    exported.write_text(again["exported"], encoding="utf-8")
    review = read_review(exported)
    assert (review.dataset, review.reviewer) == ("lab", "A. Reader")
    assert [(mark.image, mark.mark, mark.tags, mark.mask_key) for mark in review.images] == [
        ("sub-03/anat/sub-03_T1w.nii.gz", "pass", [], "MASK-sub-03T1w"),
        ("sub-03/anat/sub-03_T2w.nii.gz", "fix", [], "MASK-sub-03T2w"),
        ("sub-01/anat/sub-01_T1w.nii.gz", "fail", ["ghosting"], "MASK-sub-01T1w"),
    ]


def test_an_exported_file_comes_back_in_another_browser(page: Path) -> None:
    text = act(
        page,
        'el("reviewer").value = "B"; el("reviewer").oninput(); press("p", "p"); press("m");'
        'el("comment").value = "line\\nbreak"; el("comment").oninput(); press("e"); await pause(); await pause();'
        + STATE,
    )["exported"]
    shutil.rmtree(page.parent / "profile")
    other = text.replace("MASK-sub-03T2w", "MASK-of-another-draft")
    back = act(page, f"importText({json.dumps(text)}); const first = el('note').textContent;" + STATE)
    assert (back["count"], back["name"]) == ("2 of 6: 2 pass, 0 fix, 0 fail", "B")
    assert back["note"] == "2 marks imported"
    shutil.rmtree(page.parent / "profile")
    partly = act(page, f"importText({json.dumps(other)});" + STATE)
    assert partly["note"] == "1 marks imported; 1 are of other images or masks"
    wrong = act(page, 'try { importText("- {broken"); } catch (error) { say("refused"); }' + STATE)
    assert wrong["note"] == "refused"


def test_a_mark_is_taken_back_and_nothing_is_exported_without_a_name(page: Path) -> None:
    seen = act(page, 'press("p", "k", "p", "e"); await pause();' + STATE)
    assert seen["count"] == "0 of 6: 0 pass, 0 fix, 0 fail"
    assert (seen["note"], seen["exported"]) == ("Write your name first.", "")


def test_filters_and_the_outline(page: Path) -> None:
    script = """
    const look = () => [el("list").children.length, el("says").textContent.split(" ")[0]];
    const out = {};
    el("contrast").value = "T2w"; el("contrast").oninput(); out.contrast = look();
    el("which").value = "doubt"; el("which").oninput(); out.doubt = look();
    el("contrast").value = ""; el("which").value = ""; el("text").value = "sub-02"; el("text").oninput();
    out.text = look();
    const wide = el("frame").getBoundingClientRect().width;
    press("+"); out.zoom = el("frame").getBoundingClientRect().width / wide;
    press("c"); out.hidden = getComputedStyle(el("outline")).display; press("c");
    out.drawn = [...el("outline").firstElementChild.getAttribute("d").matchAll(/M/g)].length;
    out.picture = el("picture").naturalWidth;
    return out;
    """
    seen = act(page, script)
    assert seen["contrast"] == [3, "sub-03/anat/sub-03_T2w.nii.gz"]
    assert seen["doubt"] == [1, "sub-03/anat/sub-03_T2w.nii.gz"]
    assert seen["text"] == [2, "sub-02/anat/sub-02_T1w.nii.gz"]
    assert seen["zoom"] == pytest.approx(1.25, abs=0.01)
    assert seen["hidden"] == "none"
    assert seen["drawn"] == 11, "ten sections and the view from the side"
    assert seen["picture"] == 940


def test_the_outline_lies_on_the_border_of_the_mask() -> None:
    """The ellipse of 12 by 8 mm, in a section of 38 mm on 170 pixels."""
    image, mask = _volumes()
    panel = draw_panel(image, mask)
    first = panel.outline.split("M")[1]
    points = np.array([[float(number) for number in pair.split(",")] for pair in first.split("L")])
    width, height = np.ptp(points, axis=0) * 38 / 169
    assert width == pytest.approx(13, abs=0.1), "thirteen voxels across"
    assert height == pytest.approx(9, abs=0.1)
    assert points.mean(axis=0) == pytest.approx([84.5, 84.5], abs=3)
    assert draw_panel(image, mask) == panel
