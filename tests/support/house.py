"""The picture of the house, drawn from the imports: which wing rests on which, and the rooms of each.

``python tests/support/house.py`` writes ``docs/images/house.svg``; a test compares the two.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.imports import ROOT, file_of, imported

CORE = ROOT / "stages/core"
PICTURE = ROOT / "docs/images/house.svg"
#: The wings of ``stages/core``, from the ground up: a wing imports from those before it. docs/architecture.md shows it.
WINGS = (
    "base",
    "pages",
    "tables",
    "images",
    "data",
    "phantom",
    "model",
    "measures",
    "drift",
    "store",
    "reports",
    "workspace",
    "annotation",
    "release",
    "demo",
)
#: What each wing holds, in the words of a newcomer.
MEANING = {
    "base": "under every wing: errors, files, params, syntax",
    "pages": "canvas of figures, page templates",
    "tables": "columns; the monitored number",
    "images": "volumes, one grid, one orientation",
    "data": "clones (DataLad), checks, training set",
    "phantom": "the generated cohort",
    "model": "training and inference (nnU-Net), the bundle",
    "measures": "the ruler, the cohort's measures, kept masks",
    "drift": "rule, statistics, verdict, record",
    "store": "versions and judges (MLflow)",
    "reports": "drift report, change report",
    "workspace": "whole runs, diagnosis, withdrawal",
    "annotation": "drafts, review, acceptance of masks",
    "release": "GitHub, and the jobs of a release",
    "demo": "the whole loop on the generated cohort",
}
#: Where each wing stands, three columns a row, from the roof down. Every wing rests on base, which has no arrow.
ROWS = (
    ("release", "", "demo"),
    ("", "", "annotation"),
    ("", "workspace", ""),
    ("", "store", "reports"),
    ("", "measures", "drift"),
    ("phantom", "model", "tables"),
    ("", "data", ""),
    ("", "images", "pages"),
    ("", "base", ""),
)
BOX_WIDTH, GAP, MARGIN = 300, 36, 14
WIDTH = 3 * BOX_WIDTH + 2 * GAP + 2 * MARGIN
LINE, HEAD, SPACE = 17, 50, 34


def edges() -> set[tuple[str, str]]:
    """Return (wing, the wing that it imports from)."""
    found = set()
    for path in CORE.rglob("*.py"):
        for name in imported(path):
            target = file_of(name)
            if target is not None and target.name != "__init__.py" and target.is_relative_to(CORE):
                pair = path.relative_to(CORE).parts[0], target.relative_to(CORE).parts[0]
                found.add(pair)
    return {pair for pair in found if pair[0] != pair[1]}


def rooms(wing: str) -> list[str]:
    """Return the rooms of a wing; none where the wing is one room itself."""
    return sorted(path.name for path in (CORE / wing).iterdir() if path.is_dir() and any(path.glob("[!_]*.py")))


def _below(pairs: set[tuple[str, str]]) -> dict[str, set[str]]:
    return {wing: {below for one, below in pairs if one == wing} for wing in MEANING}


def _reduced(below: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Leave out an arrow where another way leads to the same wing."""

    def reach(wing: str) -> set[str]:
        return below[wing].union(*(reach(one) for one in below[wing])) if below[wing] else set()

    far = {wing: set().union(*(reach(one) for one in below[wing])) if below[wing] else set() for wing in below}
    return {(wing, one) for wing in below for one in below[wing] - far[wing]}


def draw() -> str:
    """Return the picture as SVG; the same imports give the same text."""
    below = _below({pair for pair in edges() if pair[1] != "base"})
    place: dict[str, tuple[float, float, float]] = {}
    top, boxes = 70.0, []
    for row in ROWS:
        height = HEAD + LINE * max(len(_lines(rooms(wing))) for wing in row if wing)
        for column, wing in enumerate(row):
            if wing:
                left = MARGIN + column * (BOX_WIDTH + GAP)
                place[wing] = (left, top, height)
                boxes.append(_box(wing, left, top, height))
        top += height + SPACE
    arrows = [_arrow(place[wing], place[one]) for wing, one in sorted(_reduced(below))]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - SPACE + 16:.0f}" '
            'font-family="DejaVu Sans, Arial, sans-serif">',
            '<defs><marker id="end" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z" fill="#8a8f98"/></marker></defs>',
            f'<rect width="{WIDTH}" height="100%" fill="white"/>',
            f'<text x="{WIDTH / 2:.0f}" y="26" text-anchor="middle" font-size="17" fill="#1f4e79">'
            "stages/*.py: the verbs, one for each stage and command</text>",
            f'<text x="{WIDTH / 2:.0f}" y="48" text-anchor="middle" font-size="13" fill="#5b636c">'
            "stages/core: a wing imports only from wings below it; where one way leads there already, no second arrow "
            "is drawn</text>",
            *arrows,
            *boxes,
            "</svg>",
            "",
        ]
    )


def _lines(names: list[str]) -> list[str]:
    """Rooms in lines that fit the box."""
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1]) + len(name) < 36:
            lines[-1] += f" · {name}"
        else:
            lines.append(name)
    return lines


def _box(wing: str, left: float, top: float, height: float) -> str:
    texts = [
        f'<text x="{left + 14:.0f}" y="{top + 22:.0f}" font-size="15" font-weight="bold" fill="#1f4e79">{wing}/</text>',
        f'<text x="{left + 14:.0f}" y="{top + 40:.0f}" font-size="11.5" fill="#3a4149">{escape(MEANING[wing])}</text>',
    ]
    for number, line in enumerate(_lines(rooms(wing))):
        y = top + 40 + LINE * (number + 1)
        texts.append(f'<text x="{left + 14:.0f}" y="{y:.0f}" font-size="12" fill="#7a5c2e">{escape(line)}</text>')
    frame = (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX_WIDTH}" height="{height:.0f}" rx="6" '
        'fill="#f6f8fa" stroke="#c3cad1"/>'
    )
    return "\n".join([frame, *texts])


def _arrow(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x1, y1 = start[0] + BOX_WIDTH / 2, start[1] + start[2]
    x2, y2 = end[0] + BOX_WIDTH / 2, end[1]
    # Close to each other, so that an arrow over several rows passes beside the boxes between.
    x1 = min(max(x2, start[0] + MARGIN), start[0] + BOX_WIDTH - MARGIN)
    x2 += 0.2 * (x1 - x2)
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2 - 2:.0f}" stroke="#8a8f98" stroke-width="1.4" '
        'marker-end="url(#end)"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {len(MEANING)} wings")
