"""The drift report: one self-contained page, with its figures beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import BundleError
from ...base.files import read_csv, read_json, whole_file, write_csv
from ...data.datasets.manifest import Manifest
from ...measures.kept_masks.layout import restore
from ...measures.kept_masks.reader import KeptZip, read_kept
from ...model.lineage.training import Training
from ...model.segmentation.predictions import CaseId
from ...pages.canvas import png_bytes
from ...tables.columns import AGREEMENT_TEXT, MEASURES_TEXT
from ...tables.resources import BY_CONTRAST_COLUMNS, RESOURCES
from ...tables.summary import read_summary
from .charts import training_figure
from .contours import Panel, Source, contour_figure, gallery_figure
from .drawings import Drawing, ReportTables, draw_figures, labelled, pairs_of
from .page import provenance, render
from .rows import case_rows
from .wording import short, shown_versions
from .worst import worst_cases, worst_participant


def write_report(
    folder: Path,
    tables: ReportTables,
    manifests: list[Manifest],
    source: Source,
    monitored: Path,
    kept: KeptZip | None,
    training: Training,
    *,
    title: str,
    label: str,
    threshold: float,
    anatomy: bool,
    trial: bool = False,
) -> None:
    """Write ``index.html``, ``figures/`` and ``resources.csv``, what the segmentation took, into ``folder``.

    Parameters
    ----------
    folder : to write into
    tables : output of the stages measure and compare
    manifests : of the monitored datasets
    source : images and masks of the candidate
    monitored : folder in which ``cordrift monitor`` left the measures of other datasets
    kept : masks of the prior that the headline speaks of; None where they are not at hand
    training : how the candidate was trained
    title : of the report
    label : of the candidate
    threshold : at which a soft mask becomes a binary one, 0 to 1
    anatomy : whether images are shown; otherwise contours stand alone
    trial : whether the candidate is only tried
    """
    shown = shown_versions(tables.drift, label)
    drawings = draw_figures(tables, shown)
    worst = _worst(tables, source, anatomy=anatomy)
    if worst:
        drawings["worst"] = worst.pop("drawing")
    drawings |= _ten(tables, source, kept, anatomy=anatomy)
    if len(training.curves):
        drawings["training"] = Drawing(training_figure(training.curves), training.curves)
    sources = {}
    for name, drawing in sorted(drawings.items()):
        png = png_bytes(drawing.figure)
        with whole_file(folder / "figures" / f"{name}.png") as part:
            part.write_bytes(png)
        write_csv(folder / "figures" / f"{name}.csv", labelled(drawing.table, shown))
        sources[name] = _embed(png)
    also, hidden = read_monitored(monitored, tables.drift.candidate.bundle, tables.drift.contrasts, anatomy=anatomy)
    own = tables.resources[tables.resources["version"] == tables.drift.candidate.bundle]
    write_csv(folder / RESOURCES, own[list(BY_CONTRAST_COLUMNS)])
    page = render(
        tables,
        shown,
        title=title,
        threshold=threshold,
        drawn=sources,
        worst=worst,
        monitored=also,
        hidden=hidden,
        provenance=provenance(tables.drift, manifests),
        training=training.rows,
        trial=trial,
    )
    with whole_file(folder / "index.html") as part:
        part.write_text(page, encoding="utf-8")


def kept_masks(history: Path, digest: str | None, say: Callable[[str], None]) -> KeptZip | None:
    """Read the masks of a prior that the stage history left; None where it left none.

    A damaged file is told to ``say`` and gives None too: the report without these contours is better than no report.
    """
    row = next((row for row in read_json(history / "priors.json")["priors"] if row["digest"] == digest), None)
    if row is None or not row["masks"]:
        return None
    try:
        return read_kept(history / row["folder"] / "masks.zip", row["masks"])
    except BundleError as error:
        say(f"cordrift: warning: contours of {short(row['digest'])} are not drawn: {error}")
        return None


def _worst(tables: ReportTables, source: Source, *, anatomy: bool) -> dict[str, Any] | None:
    spread = tables.csa_std[tables.csa_std["version"] == tables.drift.candidate.bundle]
    found = worst_participant(tables.agreement, spread)
    if found is None:
        return None
    dataset, participant, session, why = found
    panels = source.panels(dataset, participant, session, tables.drift.contrasts)
    same = (tables.agreement[["dataset", "participant", "session"]] == [dataset, participant, session]).all(axis=1)
    rows = tables.agreement[same]
    cases = case_rows(tables.measures, rows, tables.drift.range, tables.drift.contrasts)
    drawing = Drawing(contour_figure(panels, anatomy=anatomy), rows)
    return {"participant": participant, "why": why, "rows": cases, "drawing": drawing}


def _ten(tables: ReportTables, source: Source, kept: KeptZip | None, *, anatomy: bool) -> dict[str, Drawing]:
    """The worst cases, with the contours of both versions where the earlier one's masks are at hand."""
    cases = worst_cases(tables.agreement, pairs_of(tables) if tables.drift.against else None)
    panels: list[Panel] = []
    for case in cases:
        title = f"{case.key[1]} {case.key[2]}".strip() + f"\n{case.key[3]}\n" + case.why.replace(", new", "\nnew")
        panel = source.panel(case.key, title, _before(kept, case.key))
        panels += [panel] if panel else []
    if not panels:
        return {}
    table = pd.DataFrame(
        [[*case.key, case.why] for case in cases], columns=["dataset", "participant", "session", "contrast", "why"]
    )
    return {"worst_ten": Drawing(gallery_figure(panels, anatomy=anatomy), table)}


def _before(kept: KeptZip | None, key: CaseId) -> Any:
    for case in kept.index.cases if kept else []:
        if (case.dataset, case.participant, case.session, case.contrast) == key and "binary" in case.masks:
            mask = case.masks["binary"]
            return restore(mask, kept.files[mask.file]) if kept else None
    return None


def read_monitored(
    root: Path, bundle: str, contrasts: Sequence[str], *, anatomy: bool
) -> tuple[list[dict[str, Any]], int]:
    """Read what ``cordrift monitor`` left for this bundle, and count what it left for others.

    Parameters
    ----------
    root : folder with one folder for each profile
    bundle : digest of the candidate
    contrasts : order of the rows
    anatomy : whether the pictures are read
    """
    also, hidden = [], 0
    for folder in sorted(path.parent for path in root.glob("*/summary.json")):
        summary = read_summary(folder / "summary.json")
        if summary["bundle"] != bundle:
            hidden += 1
            continue
        measures = read_csv(folder / "measures.csv", text=MEASURES_TEXT)
        agreement = read_csv(folder / "agreement.csv", text=AGREEMENT_TEXT)
        rows = case_rows(measures, agreement, str(summary["range"]), contrasts)
        images = [
            {"name": path.stem, "src": _embed(path.read_bytes())} for path in sorted(folder.glob("*.png")) if anatomy
        ]
        also.append({"profile": folder.name, "rows": rows, "images": images})
    return also, hidden


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
