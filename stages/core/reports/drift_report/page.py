"""The report's page: the rows and sentences of each part, made from tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data.datasets.manifest import Manifest
from ...drift.record.record import CRITERIA, UNITS, DriftRecord
from ...pages.templates import style, templates
from .drawings import ReportTables, agreeing, nearest
from .rows import (
    bias_rows,
    concordance_rows,
    conversion_rows,
    failure_rows,
    floor_rows,
    prior_rows,
    resource_rows,
    subgroup_rows,
    version_rows,
)
from .wording import (
    DASH,
    Shown,
    advice,
    extremes,
    groups_that_moved,
    headline,
    interval,
    label_of,
    meaning,
    nearest_margin,
    number,
    reasons,
    short,
    typeset,
)


def render(
    tables: ReportTables,
    shown: list[Shown],
    *,
    title: str,
    threshold: float,
    drawn: dict[str, str],
    worst: dict[str, Any] | None,
    monitored: list[dict[str, Any]],
    hidden: int,
    provenance: list[tuple[str, str]],
    training: Sequence[tuple[str, str]],
    trial: bool,
) -> str:
    """Render the page; every text that comes from data is escaped.

    Parameters
    ----------
    shown : what each version is called
    title : of the report
    threshold : at which a soft mask becomes a binary one, 0 to 1
    drawn : data URI of each figure by name
    worst : the participant to look at; None when there is nobody
    monitored, hidden : other datasets measured with this bundle, and how many were measured with another bundle
    provenance : rows of the table of provenance
    training : how the candidate was trained, by name
    trial : whether the candidate is only tried
    """
    drift = tables.drift
    against = drift.against
    groups = {str(version): rows for version, rows in tables.subgroups.groupby("version")}
    factors = tables.conversion[(tables.conversion["prior"] == against) & (tables.conversion["metric"] == "csa_mm2")]
    template = templates().get_template("report.html")
    return template.render(
        title=title,
        threshold=f"{threshold:g}",
        css=style(),
        dash=DASH,
        drift=drift,
        label=label_of(shown, drift.candidate.bundle),
        headline=headline(drift, shown),
        extremes=extremes(drift),
        first=not drift.priors and not drift.offline,
        level=number(100 * (1 - drift.rule.alpha), 0),
        inner=number(100 * (1 - 2 * drift.rule.alpha), 0),
        verdict=drift.verdict,
        margin=nearest_margin(drift),
        moved_groups=groups_that_moved(drift),
        advice=advice(
            drift, label_of(shown, drift.candidate.bundle), label_of(shown, against) if against else "", trial=trial
        ),
        meaning=meaning(drift),
        failures=failure_rows(drift, tables.csa, tables.failures),
        failed=drift.candidate_version.failed,
        number=number,
        interval=interval,
        typeset=typeset,
        reasons=reasons(drift.verdict),
        criteria=CRITERIA,
        units=UNITS,
        versions=version_rows(drift, shown),
        fewer=len(nearest(drift, shown)) < len(shown),
        against=label_of(shown, against) if against else None,
        bias=bias_rows(tables.bias[tables.bias["prior"] == against]),
        conversion=conversion_rows(factors),
        subgroups=subgroup_rows(groups[drift.candidate.bundle], groups[against] if against else None),
        priors=prior_rows(drift, shown),
        floors=floor_rows(drift),
        drawn=drawn,
        concordance=concordance_rows(agreeing(tables)),
        worst=worst,
        monitored=monitored,
        hidden=hidden,
        provenance=provenance,
        training=training,
        inputs=tables.inputs,
        resources=resource_rows(tables.resources, nearest(drift, shown), drift.contrasts),
    )


def provenance(drift: DriftRecord, manifests: list[Manifest]) -> list[tuple[str, str]]:
    """Return the rows of the provenance table."""
    datasets = "; ".join(f"{m.dataset} {m.tag} ({short(m.commit)}), {m.licence}" for m in manifests)
    return [
        ("bundle", drift.candidate.bundle),
        ("inference settings", drift.candidate.inference),
        ("ruler", drift.candidate.ruler),
        ("frozen set", drift.candidate.frozen),
        ("datasets", datasets),
        ("range", drift.range),
        ("margins", f"pooled ±{number(drift.rule.margin_pooled_mm2)} mm², by contrast {_contrast_margins(drift)}"),
        ("alpha", f"{drift.rule.alpha:g}"),
        ("least contrasts", str(drift.rule.min_contrasts)),
    ]


def _contrast_margins(drift: DriftRecord) -> str:
    margins = {name: drift.rule.margin_of(name) for name in drift.contrasts}
    if len(set(margins.values())) == 1:
        return f"±{number(next(iter(margins.values())))} mm²"
    return ", ".join(f"{name} ±{number(margin)} mm²" for name, margin in margins.items())
