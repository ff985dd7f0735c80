"""The report's charts from the tables of the pipeline, each with the numbers that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from ...base.files import read_csv
from ...drift.inputs.survey import MEANING, read_survey
from ...drift.record.record import DriftRecord, VersionRecord, read_drift
from ...drift.statistics.bias import PERSON, POOLED, pair
from ...tables.columns import AGREEMENT_TEXT, MEASURES_TEXT
from ...tables.resources import by_contrast, read_by_contrast, read_resources
from ..inputs.chart import inputs_figure
from .charts import csa_figure, csa_std_figure, dice_figure, trend_figure
from .difference_charts import bias_figure, bland_altman_figure, line_figure, matrix_figure, subgroup_figure
from .wording import Shown

#: Versions that a chart with points side by side, or with a line for each, can show.
FEW_VERSIONS = 6


class DifferenceTables(Protocol):
    """What the charts of two versions need: the record of a comparison and four of its tables."""

    @property
    def drift(self) -> DriftRecord:
        """The record."""

    @property
    def csa(self) -> pd.DataFrame:
        """CSA of every case of every version."""

    @property
    def bias(self) -> pd.DataFrame:
        """Bias by contrast and pooled."""

    @property
    def concordance(self) -> pd.DataFrame:
        """Agreement person by person."""

    @property
    def subgroups(self) -> pd.DataFrame:
        """Groups of participants."""


@dataclass(frozen=True)
class ReportTables:
    """The output of the stages measure and compare; ``dice`` holds the agreement of every compared version.

    ``resources`` says what the segmentation by each version took, a row for each version and contrast; it lacks those
    whose segmentation was not timed. ``inputs`` and ``shifts`` are what ``survey`` found; nothing where it did not run.
    """

    drift: DriftRecord
    csa_std: pd.DataFrame
    csa: pd.DataFrame
    contrast_pairs: pd.DataFrame
    bias: pd.DataFrame
    concordance: pd.DataFrame
    conversion: pd.DataFrame
    subgroups: pd.DataFrame
    failures: pd.DataFrame
    measures: pd.DataFrame
    agreement: pd.DataFrame
    dice: pd.DataFrame
    resources: pd.DataFrame
    inputs: Sequence[Mapping[str, Any]]
    shifts: pd.DataFrame


@dataclass(frozen=True)
class Drawing:
    """A figure with the numbers that it shows."""

    figure: Figure
    table: pd.DataFrame


def read_report_tables(
    measure: Path, compare: Path, history: Path, survey: Path, shards: Sequence[Path]
) -> ReportTables:
    """Read the tables of the candidate, and of its compared priors the agreement and what their segmentation took.

    Parameters
    ----------
    measure, compare, history, survey : output folders of these stages
    shards : output folders of the stage segment
    """
    person = ("version", "dataset", "participant", "session", "contrast")
    drift = read_drift(compare / "drift.json")
    agreement = read_csv(measure / "agreement.csv", text=AGREEMENT_TEXT)
    dice = [agreement.assign(version=drift.candidate.bundle)]
    resources = [by_contrast(read_resources(shards)).assign(version=drift.candidate.bundle)]
    for prior in drift.priors:
        if prior.pooled:
            folder = history / prior.digest[:12]
            dice.append(read_csv(folder / "agreement.csv", text=AGREEMENT_TEXT).assign(version=prior.digest))
            resources.append(read_by_contrast(folder).assign(version=prior.digest))
    return ReportTables(
        drift,
        read_csv(compare / "csa_std.csv", text=person),
        read_csv(compare / "csa.csv", text=person),
        read_csv(compare / "contrast_pairs.csv", text=("version", "contrast_x", "contrast_y")),
        read_csv(compare / "bias.csv", text=("prior", "contrast")),
        read_csv(compare / "concordance.csv", text=("prior", "contrast")),
        read_csv(compare / "conversion.csv", text=("prior", "metric", "contrast", "withheld")),
        read_csv(compare / "subgroups.csv", text=("version", "attribute", "group")),
        read_csv(compare / "failures.csv", text=(*person, "failure")),
        read_csv(measure / "measures.csv", text=MEASURES_TEXT),
        agreement,
        pd.concat(dice, ignore_index=True)[[*person, "dice"]],
        pd.concat([table for table in resources if len(table)] or resources[:1], ignore_index=True),
        *read_survey(survey),
    )


def draw_figures(tables: ReportTables, shown: list[Shown]) -> dict[str, Drawing]:
    """Draw the charts, by name."""
    drift = tables.drift
    contrasts, near = drift.contrasts, nearest(drift, shown)
    level_percent = 100 * (1 - drift.rule.alpha)
    drawings = {
        "csa_std": Drawing(csa_std_figure(tables.csa_std, shown), tables.csa_std),
        "trend": Drawing(trend_figure(drift.versions, shown, level_percent), _trend_table(drift.versions)),
        "csa": Drawing(csa_figure(tables.csa, near, contrasts), tables.csa),
        "dice": Drawing(dice_figure(tables.dice, near, contrasts), tables.dice),
    }
    if tables.shifts["distance"].notna().any():
        drawings["inputs"] = Drawing(inputs_figure(tables.shifts, MEANING), tables.shifts)
    if len(contrasts) > 1:
        x, y = line_of(contrasts)
        two = tables.csa[tables.csa["contrast"].isin([x, y])]
        drawings["line"] = Drawing(line_figure(two, tables.contrast_pairs, near, x, y), two)
        own = tables.contrast_pairs[tables.contrast_pairs["version"] == drift.candidate.bundle]
        drawings["matrix"] = Drawing(matrix_figure(own, contrasts), tables.contrast_pairs)
    return drawings | (draw_differences(tables) if drift.against else {})


def draw_differences(tables: DifferenceTables) -> dict[str, Drawing]:
    """Draw the charts of the candidate beside the prior that the headline speaks of, by name."""
    drift, rule = tables.drift, tables.drift.rule
    mine = tables.bias[tables.bias["prior"] == drift.against]
    mine = mine.assign(
        margin_mm2=[rule.margin_pooled_mm2 if name == POOLED else rule.margin_of(name) for name in mine["contrast"]]
    )
    groups = tables.subgroups[tables.subgroups["version"] == drift.against]
    # Several sessions of a participant are one point, as in the limits that are drawn.
    columns = ["new", "old", "difference"]
    pairs = pairs_of(tables).groupby([*PERSON, "contrast"], as_index=False)[columns].mean()
    return {
        "bias": Drawing(bias_figure(mine, [*drift.contrasts, POOLED]), mine),
        "subgroups": Drawing(subgroup_figure(groups, rule.margin_pooled_mm2), groups),
        "bland_altman": Drawing(bland_altman_figure(pairs, agreeing(tables), drift.contrasts), pairs),
    }


def nearest(drift: DriftRecord, shown: Sequence[Shown]) -> list[Shown]:
    """Return the versions that a crowded chart shows: where there are many, no priors that judge nothing."""
    if len(shown) <= FEW_VERSIONS:
        return list(shown)
    judging = {drift.against, *(prior.digest for prior in drift.priors if prior.aliases)}
    return [item for item in shown if item.role != "prior" or item.version in judging]


def pairs_of(tables: DifferenceTables) -> pd.DataFrame:
    """Return the cases of the candidate beside those of the prior that the headline speaks of."""
    versions = tables.drift.candidate.bundle, tables.drift.against
    new, old = (tables.csa[tables.csa["version"] == version] for version in versions)
    return pair(new, old)


def _trend_table(versions: Sequence[VersionRecord]) -> pd.DataFrame:
    columns = ["version", "role", "n", "csa_std_mean_mm2", "csa_std_low_mm2", "csa_std_high_mm2"]
    return pd.DataFrame([dict(version) for version in versions])[columns]


def labelled(table: pd.DataFrame, shown: Sequence[Shown]) -> pd.DataFrame:
    """Return the numbers of a figure with the label of each version beside its digest, as the figure shows it."""
    digest = next((name for name in ("version", "prior") if name in table.columns), None)
    if digest is None:
        return table
    labels = {item.version: item.label for item in shown}
    out = table.copy()
    out.insert(0, "label", out[digest].map(labels))
    return out


def line_of(contrasts: Sequence[str]) -> tuple[str, str]:
    """Return the two contrasts whose line the report draws: T1w and T2w, else the first two."""
    return ("T1w", "T2w") if {"T1w", "T2w"} <= set(contrasts) else (contrasts[0], contrasts[1])


def agreeing(tables: DifferenceTables) -> pd.DataFrame:
    """Return the concordance with the prior that the headline speaks of; empty where there is none."""
    return tables.concordance[tables.concordance["prior"] == tables.drift.against]
