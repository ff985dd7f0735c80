"""The report: one self-contained page from tables, with its figures beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from stages.core.cohort import Manifest
from stages.core.columns import AGREEMENT_TEXT, MEASURES_TEXT
from stages.core.contours import contour_figure, read_panels
from stages.core.drift.bias import POOLED, pair
from stages.core.figures import (
    Shown,
    bias_figure,
    bland_altman_figure,
    csa_figure,
    csa_std_figure,
    dice_figure,
    line_figure,
    matrix_figure,
    png_bytes,
)
from stages.core.files import read_csv, read_json, whole_file, write_csv
from stages.core.params import Params
from stages.core.segmented import Segmentation
from stages.core.wording import (
    DASH,
    bias_rows,
    case_rows,
    concordance_rows,
    extremes,
    headline,
    label_of,
    number,
    short,
    shown_versions,
    smallest_margin,
    version_rows,
    worst_participant,
)

PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class Tables:
    """What the stages measure and compare wrote; ``dice`` holds the agreement of every compared version."""

    drift: dict[str, Any]
    csa_std: pd.DataFrame
    csa: pd.DataFrame
    contrast_pairs: pd.DataFrame
    bias: pd.DataFrame
    concordance: pd.DataFrame
    measures: pd.DataFrame
    agreement: pd.DataFrame
    dice: pd.DataFrame


@dataclass(frozen=True)
class Drawing:
    """A figure with the numbers that it shows."""

    figure: Figure
    table: pd.DataFrame


def read_tables(measure: Path, compare: Path, history: Path) -> Tables:
    """Read the tables of the candidate and the agreement of its compared priors."""
    person = ("version", "dataset", "participant", "session", "contrast")
    drift = read_json(compare / "drift.json")
    agreement = read_csv(measure / "agreement.csv", text=AGREEMENT_TEXT)
    dice = [agreement.assign(version=drift["candidate"]["bundle"])]
    for prior in drift["priors"]:
        if prior["comparable"]:
            folder = history / prior["digest"][:12]
            dice.append(read_csv(folder / "agreement.csv", text=AGREEMENT_TEXT).assign(version=prior["digest"]))
    return Tables(
        drift,
        read_csv(compare / "csa_std.csv", text=person),
        read_csv(compare / "csa.csv", text=person),
        read_csv(compare / "contrast_pairs.csv", text=("version", "contrast_x", "contrast_y")),
        read_csv(compare / "bias.csv", text=("prior", "contrast")),
        read_csv(compare / "concordance.csv", text=("prior", "contrast")),
        read_csv(measure / "measures.csv", text=MEASURES_TEXT),
        agreement,
        pd.concat(dice, ignore_index=True)[[*person, "dice"]],
    )


def draw(tables: Tables, shown: list[Shown]) -> dict[str, Drawing]:
    """Draw the charts, by name."""
    drift = tables.drift
    contrasts = drift["contrasts"]
    drawings = {
        "csa_std": Drawing(csa_std_figure(tables.csa_std, shown), tables.csa_std),
        "csa": Drawing(csa_figure(tables.csa, shown, contrasts), tables.csa),
        "dice": Drawing(dice_figure(tables.dice, shown, contrasts), tables.dice),
    }
    if len(contrasts) > 1:
        x, y = line_of(contrasts)
        two = tables.csa[tables.csa["contrast"].isin([x, y])]
        drawings["line"] = Drawing(line_figure(two, tables.contrast_pairs, shown, x, y), two)
        own = tables.contrast_pairs[tables.contrast_pairs["version"] == drift["candidate"]["bundle"]]
        drawings["matrix"] = Drawing(matrix_figure(own, contrasts), tables.contrast_pairs)
    if drift["against"]:
        mine = tables.bias[tables.bias["prior"] == drift["against"]]
        figure = bias_figure(
            mine, [*contrasts, POOLED], margin_mm2=drift["margin_mm2"], level_percent=100 * (1 - drift["alpha"])
        )
        drawings["bias"] = Drawing(figure, mine)
        cases = [tables.csa[tables.csa["version"] == v] for v in (drift["candidate"]["bundle"], drift["against"])]
        pairs = pair(*cases)
        drawings["bland_altman"] = Drawing(bland_altman_figure(pairs, agreeing(tables), contrasts), pairs)
    return drawings


def line_of(contrasts: Sequence[str]) -> tuple[str, str]:
    """The two contrasts whose line the report draws: T1w and T2w, else the first two."""
    return ("T1w", "T2w") if {"T1w", "T2w"} <= set(contrasts) else (contrasts[0], contrasts[1])


def agreeing(tables: Tables) -> pd.DataFrame:
    """Concordance with the prior that the headline speaks of; empty where there is none."""
    mine: pd.DataFrame = tables.concordance[tables.concordance["prior"] == tables.drift["against"]]
    return mine


def write_report(
    folder: Path,
    tables: Tables,
    params: Params,
    manifests: list[Manifest],
    segmentation: Segmentation,
    monitored: Path,
    clones: Path,
) -> None:
    """Write ``index.html`` and ``figures/`` into ``folder``."""
    shown = shown_versions(tables.drift, params.registration.label)
    drawings = draw(tables, shown)
    worst = _worst(tables, params, manifests, segmentation, clones)
    if worst:
        drawings["worst"] = worst.pop("drawing")
    sources = {}
    for name, drawing in sorted(drawings.items()):
        png = png_bytes(drawing.figure)
        with whole_file(folder / "figures" / f"{name}.png") as part:
            part.write_bytes(png)
        write_csv(folder / "figures" / f"{name}.csv", drawing.table)
        sources[name] = _embed(png)
    also, hidden = read_monitored(monitored, tables.drift["candidate"]["bundle"], tables.drift["contrasts"])
    page = render(
        tables.drift,
        shown,
        title=params.report.title,
        threshold=params.segment.threshold,
        drawn=sources,
        concordance=concordance_rows(agreeing(tables)),
        worst=worst,
        monitored=also,
        hidden=hidden,
        provenance=provenance(tables.drift, manifests),
    )
    with whole_file(folder / "index.html") as part:
        part.write_text(page, encoding="utf-8")


def _worst(
    tables: Tables, params: Params, manifests: list[Manifest], segmentation: Segmentation, clones: Path
) -> dict[str, Any] | None:
    mine = tables.csa_std[tables.csa_std["version"] == tables.drift["candidate"]["bundle"]]
    found = worst_participant(tables.agreement, mine)
    if found is None:
        return None
    dataset, participant, session, why = found
    panels = read_panels(
        manifests, segmentation, tables.measures, dataset=dataset, participant=participant, session=session,
        contrasts=tables.drift["contrasts"], levels=params.measure.levels, clones=clones,
    )  # fmt: skip
    same = (tables.agreement[["dataset", "participant", "session"]] == [dataset, participant, session]).all(axis=1)
    rows = tables.agreement[same]
    cases = case_rows(tables.measures, rows, tables.drift["range"], tables.drift["contrasts"])
    drawing = Drawing(contour_figure(panels), rows)
    return {"participant": participant, "why": why, "rows": cases, "drawing": drawing}


def read_monitored(root: Path, bundle: str, contrasts: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
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
        images = [{"name": path.stem, "src": _embed(path.read_bytes())} for path in sorted(folder.glob("*.png"))]
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
    drift: dict[str, Any],
    shown: list[Shown],
    *,
    title: str,
    threshold: float,
    drawn: dict[str, str],
    concordance: list[dict[str, str]],
    worst: dict[str, Any] | None,
    monitored: list[dict[str, Any]],
    hidden: int,
    provenance: list[tuple[str, str]],
) -> str:
    """Render the page; every text that comes from data is escaped.

    Parameters
    ----------
    drawn : data URI of each figure by name
    concordance : rows of its table
    """
    loader = jinja2.FileSystemLoader(PAGE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    css = Markup(PAGE.joinpath("report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    against = drift["against"]
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
        number=number,
        versions=version_rows(drift, shown),
        against=label_of(shown, against) if against else None,
        bias=bias_rows(drift, against) if against else [],
        priors=_prior_rows(drift, shown),
        drawn=drawn,
        concordance=concordance,
        worst=worst,
        monitored=monitored,
        hidden=hidden,
        provenance=provenance,
    )


def _prior_rows(drift: dict[str, Any], shown: list[Shown]) -> list[dict[str, str]]:
    labels = {item.version: item.label for item in shown}
    rows = []
    for prior in drift["priors"]:
        pooled = prior["pooled"] or {"bias_mm2": None, "ci_low_mm2": None, "ci_high_mm2": None, "n": 0}
        interval = DASH
        if pooled["ci_low_mm2"] is not None:
            interval = f"{number(pooled['ci_low_mm2'])} to {number(pooled['ci_high_mm2'])}"
        label = labels.get(prior["digest"]) or prior["label"] or short(prior["digest"])
        if prior["aliases"]:
            label += f" ({', '.join(prior['aliases'])})"
        why = f"yes. {prior['why']}".strip() if prior["comparable"] else f"no. {prior['why']}"
        rows.append(
            {
                "label": label,
                "bias": number(pooled["bias_mm2"]),
                "interval": interval,
                "n": str(pooled["n"]),
                "why": why,
            }
        )
    return rows


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
