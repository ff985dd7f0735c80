"""The report: one self-contained page from tables, with its figures beside it."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from stages.core.cohort import Manifest
from stages.core.columns import AGREEMENT_TEXT, MEASURES_TEXT
from stages.core.contours import Panel, Source, contour_figure, gallery_figure
from stages.core.drawings import Drawing, Tables, agreeing, draw, labelled, nearest, pairs_of
from stages.core.drift.decision import CRITERIA
from stages.core.errors import CordriftError
from stages.core.figures import Shown, png_bytes
from stages.core.files import read_csv, read_json, whole_file, write_csv
from stages.core.kept import restore
from stages.core.kept_zip import KeptZip, read_kept
from stages.core.params import Params
from stages.core.rows import (
    bias_rows,
    case_rows,
    concordance_rows,
    conversion_rows,
    failure_rows,
    floor_rows,
    prior_rows,
    subgroup_rows,
    version_rows,
)
from stages.core.segmented import Key
from stages.core.wording import (
    DASH,
    extremes,
    headline,
    label_of,
    meaning,
    number,
    reasons,
    short,
    shown_versions,
    smallest_margin,
    typeset,
)
from stages.core.worst import worst_cases, worst_participant

PAGE = Path(__file__).parent / "page"


def write_report(
    folder: Path,
    tables: Tables,
    params: Params,
    manifests: list[Manifest],
    source: Source,
    monitored: Path,
    kept: KeptZip | None,
    *,
    anatomy: bool,
) -> None:
    """Write ``index.html`` and ``figures/`` into ``folder``.

    Parameters
    ----------
    kept : masks of the prior that the headline speaks of, None where they are not at hand
    anatomy : whether images are shown; without, contours stand alone
    """
    shown = shown_versions(tables.drift, params.registration.label)
    drawings = draw(tables, shown)
    worst = _worst(tables, source, anatomy=anatomy)
    if worst:
        drawings["worst"] = worst.pop("drawing")
    drawings |= _ten(tables, source, kept, anatomy=anatomy)
    sources = {}
    for name, drawing in sorted(drawings.items()):
        png = png_bytes(drawing.figure)
        with whole_file(folder / "figures" / f"{name}.png") as part:
            part.write_bytes(png)
        write_csv(folder / "figures" / f"{name}.csv", labelled(drawing.table, shown))
        sources[name] = _embed(png)
    also, hidden = read_monitored(
        monitored, tables.drift["candidate"]["bundle"], tables.drift["contrasts"], anatomy=anatomy
    )
    page = render(
        tables,
        shown,
        title=params.report.title,
        threshold=params.segment.threshold,
        drawn=sources,
        worst=worst,
        monitored=also,
        hidden=hidden,
        provenance=provenance(tables.drift, manifests),
    )
    with whole_file(folder / "index.html") as part:
        part.write_text(page, encoding="utf-8")


def kept_masks(history: Path, digest: str | None) -> KeptZip | None:
    """Masks of a prior that the stage history left; None where it left none, or, with a warning, none that is whole."""
    row = next((row for row in read_json(history / "priors.json")["priors"] if row["digest"] == digest), None)
    if row is None or not row["masks"]:
        return None
    try:
        return read_kept(history / row["folder"] / "masks.zip", row["masks"])
    except CordriftError as error:  # a contour less is no reason to be without a report
        print(f"cordrift: warning: contours of {short(row['digest'])} are not drawn: {error}", file=sys.stderr)
        return None


def _worst(tables: Tables, source: Source, *, anatomy: bool) -> dict[str, Any] | None:
    mine = tables.csa_std[tables.csa_std["version"] == tables.drift["candidate"]["bundle"]]
    found = worst_participant(tables.agreement, mine)
    if found is None:
        return None
    dataset, participant, session, why = found
    panels = source.panels(dataset, participant, session, tables.drift["contrasts"])
    same = (tables.agreement[["dataset", "participant", "session"]] == [dataset, participant, session]).all(axis=1)
    rows = tables.agreement[same]
    cases = case_rows(tables.measures, rows, tables.drift["range"], tables.drift["contrasts"])
    drawing = Drawing(contour_figure(panels, anatomy=anatomy), rows)
    return {"participant": participant, "why": why, "rows": cases, "drawing": drawing}


def _ten(tables: Tables, source: Source, kept: KeptZip | None, *, anatomy: bool) -> dict[str, Drawing]:
    """The worst cases, with the contours of both versions where the earlier one's masks are at hand."""
    cases = worst_cases(tables.agreement, pairs_of(tables) if tables.drift["against"] else None)
    panels: list[Panel] = []
    for case in cases:
        title = f"{case.key[1]} {case.key[2]}".strip() + f"\n{case.key[3]}: {case.why}".replace(", new", "\nnew")
        panel = source.panel(case.key, title, _before(kept, case.key))
        panels += [panel] if panel else []
    if not panels:
        return {}
    table = pd.DataFrame(
        [[*case.key, case.why] for case in cases], columns=["dataset", "participant", "session", "contrast", "why"]
    )
    return {"worst_ten": Drawing(gallery_figure(panels, anatomy=anatomy), table)}


def _before(kept: KeptZip | None, key: Key) -> Any:
    for case in kept.index.cases if kept else []:
        if (case.dataset, case.participant, case.session, case.contrast) == key and "binary" in case.masks:
            mask = case.masks["binary"]
            return restore(mask, kept.files[mask.file]) if kept else None
    return None


def read_monitored(
    root: Path, bundle: str, contrasts: Sequence[str], *, anatomy: bool
) -> tuple[list[dict[str, Any]], int]:
    """Read what ``cordrift monitor`` left for this bundle, and count what it left for others."""
    also, hidden = [], 0
    for folder in sorted(path.parent for path in root.glob("*/summary.json")):
        summary = read_json(folder / "summary.json")
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


def provenance(drift: dict[str, Any], manifests: list[Manifest]) -> list[tuple[str, str]]:
    """Rows of the provenance table."""
    candidate = drift["candidate"]
    datasets = "; ".join(f"{m.dataset} {m.tag} ({short(m.commit)}), {m.licence}" for m in manifests)
    return [
        ("bundle", candidate["bundle"]),
        ("inference settings", candidate["inference"]),
        ("ruler", candidate["ruler"]),
        ("frozen set", candidate["frozen"]),
        ("datasets", datasets),
        ("range", drift["range"]),
        ("margin", f"±{number(drift['margin_mm2'])} mm²"),
        ("alpha", f"{drift['alpha']:g}"),
        ("least contrasts", str(drift["min_contrasts"])),
    ]


def render(
    tables: Tables,
    shown: list[Shown],
    *,
    title: str,
    threshold: float,
    drawn: dict[str, str],
    worst: dict[str, Any] | None,
    monitored: list[dict[str, Any]],
    hidden: int,
    provenance: list[tuple[str, str]],
) -> str:
    """Render the page; every text that comes from data is escaped.

    Parameters
    ----------
    drawn : data URI of each figure by name
    """
    loader = jinja2.FileSystemLoader(PAGE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    css = Markup(PAGE.joinpath("report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    drift = tables.drift
    against = drift["against"]
    groups = {version: rows for version, rows in tables.subgroups.groupby("version")}  # noqa: C416
    factors = tables.conversion[(tables.conversion["prior"] == against) & (tables.conversion["metric"] == "csa_mm2")]
    return environment.get_template("report.html").render(
        title=title,
        threshold=f"{threshold:g}",
        css=css,
        dash=DASH,
        drift=drift,
        label=label_of(shown, drift["candidate"]["bundle"]),
        headline=headline(drift, shown),
        extremes=extremes(drift),
        first=not drift["priors"] and not drift["offline"],
        level=number(100 * (1 - drift["alpha"]), 0),
        inner=number(100 * (1 - 2 * drift["alpha"]), 0),
        verdict=drift["verdict"],
        margin=smallest_margin(drift),
        meaning=meaning(drift),
        failures=failure_rows(drift, tables.csa),
        number=number,
        typeset=typeset,
        reasons=reasons(drift["verdict"]),
        criteria=CRITERIA,
        versions=version_rows(drift, shown),
        fewer=len(nearest(drift, shown)) < len(shown),
        against=label_of(shown, against) if against else None,
        bias=bias_rows(tables.bias[tables.bias["prior"] == against]),
        conversion=conversion_rows(factors),
        subgroups=subgroup_rows(groups[drift["candidate"]["bundle"]], groups.get(against)),
        priors=prior_rows(drift, shown),
        floors=floor_rows(drift),
        drawn=drawn,
        concordance=concordance_rows(agreeing(tables)),
        worst=worst,
        monitored=monitored,
        hidden=hidden,
        provenance=provenance,
    )


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
