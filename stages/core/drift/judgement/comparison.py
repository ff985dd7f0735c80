"""The comparison of a candidate with its priors and the ground truth, as tables and one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ...tables.monitored import CASE, Source, csa_of, monitored_pair, range_csa
from ..record.record import (
    BiasRow,
    Declared,
    DeclaredItem,
    DriftRecord,
    Floors,
    Judge,
    PriorRecord,
    Role,
    Rule,
    SeriesRecord,
    VersionRecord,
    missing_shards,
)
from ..rule.protocol import Protocol
from ..rule.settings import Compare
from ..statistics.bias import (
    POOLED,
    Bias,
    atrophy_months,
    bias_of_contrast,
    mean_interval,
    pair,
    person_means,
    pooled_bias,
)
from ..statistics.concordance import COLUMNS as CONCORDANCE
from ..statistics.concordance import concordance_table
from ..statistics.contrast_pairs import contrast_pairs
from ..statistics.conversion import COLUMNS, conversion_factors
from ..statistics.csa_std import csa_std, summarise
from ..statistics.quality import ALL, quality
from ..statistics.subgroups import ATTRIBUTES, groups, subgroups
from ..versions.version import CHAMPION, REFERENCE, MeasuredVersion, Prior, holder, marks, obstacle, remark, roles_of
from .decision import decide, judge_of
from .verdict import Scores, judge_drift, judge_quality, scores


@dataclass(frozen=True)
class Comparison:
    """The record ``drift``, and the tables by the names of their files."""

    drift: DriftRecord
    csa_std: pd.DataFrame
    csa: pd.DataFrame
    contrast_pairs: pd.DataFrame
    bias: pd.DataFrame
    quality: pd.DataFrame
    conversion: pd.DataFrame
    concordance: pd.DataFrame
    subgroups: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "drift"}


#: Means of the quality table that the record of a version holds.
MEANS = ("dice_mean", "dice_min", "rve_percent", "assd_mm", "hd95_mm", "csa_error_mm2")
#: Counts of the record -> column of the quality table.
COUNTS = {"n_dice": "n", "n_rve": "n_rve", "n_surface": "n_surface", "n_csa": "n_csa"}
#: Columns of the tables that have no row where there is no prior.
EMPTY = {
    "bias": ["prior", "contrast", *BiasRow.model_fields],
    "conversion": ["prior", *COLUMNS],
    "concordance": ["prior", *CONCORDANCE],
}
TablesByName = dict[str, pd.DataFrame]


def compare(
    candidate: MeasuredVersion,
    priors: list[Prior],
    *,
    contrasts: list[str],
    rule: Compare,
    offline: bool,
    people: pd.DataFrame | None = None,
    declared: Declared | None = None,
    floors: Floors | None = None,
) -> Comparison:
    """Compare the candidate with every prior, and set the ground truth beside them, once.

    A prior of another frozen set or another ruler is compared and marked, and judges nothing.

    Parameters
    ----------
    priors : in the order of their versions
    contrasts : the frozen contrasts
    rule : margin, alpha and least number of contrasts, fixed before results
    offline : the history was not asked
    people : columns dataset, participant, manufacturer, sex, age, pathology (text)
    declared : by what the candidate was to be judged, and what of it was changed since
    floors : what moves when nothing should, as the stage floor found it
    """
    known = pd.DataFrame(columns=[*CASE[:2], *ATTRIBUTES], dtype=object) if people is None else people
    floors = floors or Floors(runner=[], seeds=[])
    comparer = _Comparer(candidate, contrasts, rule, known, floors.seeds_csa_std_mm2)
    versions: list[VersionRecord] = []
    parts: list[TablesByName] = []
    reference = comparer.csa(candidate, "reference")
    if len(reference):
        parts.append(comparer.tables(REFERENCE, reference))
        versions.append(comparer.version(REFERENCE, "", "reference", parts[-1]))
    beside = [comparer.compare_with(prior) for prior in priors]
    versions += [one.version for one in beside if one.version]
    parts += [one.tables for one in beside]
    parts.append(comparer.tables(candidate.series.bundle, comparer.csa(candidate), candidate.agreement))
    versions.append(comparer.version(candidate.series.bundle, "", "candidate", parts[-1]))
    records = [one.record for one in beside]
    drift = DriftRecord(
        candidate=SeriesRecord(**{key: getattr(candidate.series, key) for key in SeriesRecord.model_fields}),
        range=candidate.series.range,
        contrasts=contrasts,
        margin_mm2=rule.margin_mm2,
        alpha=rule.alpha,
        min_contrasts=rule.min_contrasts,
        versions=versions,
        priors=records,
        against=_against(records),
        offline=offline,
        incomplete=missing_shards(candidate.lost),
        used=1 + sum(prior.series.frozen == candidate.series.frozen for prior in priors),
        rule=Rule(**rule.model_dump()),
        declared=declared,
        floors=floors,
        verdict=decide(
            [one.judge for one in beside if one.judge],
            priors=sum(bool(prior.series.frozen) for prior in priors),  # an imported one is shown and judges nothing
            offline=offline,
            changed=declared.changed if declared else [],
            lost=candidate.lost,
        ),
    )
    return Comparison(drift, **{f.name: _joined(f.name, parts) for f in fields(Comparison) if f.name != "drift"})


def declared_record(protocol: Protocol, now: Mapping[str, str]) -> Declared:
    """Set what was declared beside what holds now, by name and as text."""
    names = sorted({*protocol.items, *now})
    rows = [DeclaredItem(name=name, declared=protocol.items.get(name, ""), now=now.get(name, "")) for name in names]
    return Declared(
        when=protocol.when,
        before_results=protocol.before_results,
        items=rows,
        changed=[row.name for row in rows if row.declared != row.now],
    )


@dataclass(frozen=True)
class _Beside:
    """The candidate beside one prior; ``judge`` is None where it judges nothing, ``version`` where it has no tables."""

    record: PriorRecord
    judge: Judge | None
    version: VersionRecord | None
    tables: TablesByName


@dataclass(frozen=True)
class _Comparer:
    """The candidate and all that it is compared by."""

    candidate: MeasuredVersion
    contrasts: list[str]
    rule: Compare
    people: pd.DataFrame
    seed_floor_mm2: float  # by what another seed moves it, CSA STD and CSA error may grow; NaN where there is none

    def csa(self, version: MeasuredVersion, source: Source = "prediction") -> pd.DataFrame:
        """CSA of one version in the frozen contrasts."""
        return self._in_contrasts(range_csa(version.measures, source, version.series.range))

    def compare_with(self, prior: Prior) -> _Beside:
        """Set the candidate beside a prior."""
        digest, roles = prior.series.bundle, roles_of(prior)
        hidden, marked = obstacle(self.candidate.series, prior.series), marks(self.candidate.series, prior.series)
        why = " ".join(filter(None, [hidden, *marked.values()]))
        record = PriorRecord(
            digest=digest,
            label=prior.label,
            aliases=list(prior.aliases),
            comparable=not why,
            marks=list(marked),
            why=why or remark(self.candidate.series, prior.series),
            pooled=None,
            contrasts={},
        )
        judge = judge_of(digest, prior.label, roles, why=why) if roles else None
        if prior.version is None or hidden:
            return _Beside(record, judge, None, {})
        rule, contrasts, range_name = self.rule, self.contrasts, self.candidate.series.range
        both = monitored_pair(self.candidate.measures, prior.version.measures, range_name)
        new, old = (self._in_contrasts(csa_of(rows)) for rows in both)
        pairs = pair(new, old)
        biases = {name: self._row(bias_of_contrast(pairs, name, rule.alpha)) for name in contrasts}
        pooled = self._row(pooled_bias(pairs, rule.min_contrasts, rule.alpha))
        if roles and not why:
            criteria = judge_quality(
                self._scores(self.candidate, new), self._scores(prior.version, old), rule, self.seed_floor_mm2
            )
            judge = judge_of(digest, prior.label, roles, judge_drift(pairs, contrasts, rule), criteria)
        named = [*biases.items(), (POOLED, pooled)]
        tables = {
            "bias": pd.DataFrame([{"contrast": name, **dict(row)} for name, row in named]),
            "conversion": conversion_factors(
                self.candidate.measures, prior.version.measures, range_name, contrasts, rule.alpha
            ),
            "concordance": concordance_table(pairs, contrasts, rule.min_contrasts, rule.alpha),
        }
        tables = {key: table.assign(prior=digest)[EMPTY[key]] for key, table in tables.items()}
        differences = person_means(pairs, rule.min_contrasts)["difference"]
        tables |= self.tables(digest, self.csa(prior.version), prior.version.agreement, differences)
        version = self.version(digest, prior.label, "prior", tables, list(marked))
        return _Beside(record.model_copy(update={"pooled": pooled, "contrasts": biases}), judge, version, tables)

    def tables(
        self,
        digest: str,
        csa: pd.DataFrame,
        agreement: pd.DataFrame | None = None,
        differences: pd.Series[float] | None = None,
    ) -> TablesByName:
        """Return the tables of one version, with its digest in the first column.

        Parameters
        ----------
        digest : of the version
        csa : its CSA, as :meth:`csa` gives it
        agreement : its agreement.csv; None of the ground truth
        differences : candidate - this version (mm2) by dataset and participant; None of the candidate itself
        """
        spread = csa_std(csa, self.contrasts)
        tables = {
            "csa": csa,
            "csa_std": spread,
            "contrast_pairs": contrast_pairs(csa, self.contrasts),
            "subgroups": subgroups(groups(csa, self.people), spread, differences, self.rule.alpha),
        }
        if agreement is not None:
            tables["quality"] = quality(self._in_contrasts(agreement), csa, self.contrasts)
        return {key: table.assign(version=digest)[["version", *table.columns]] for key, table in tables.items()}

    def version(
        self, digest: str, label: str, role: Role, tables: TablesByName, marked: Sequence[str] = ()
    ) -> VersionRecord:
        """Return the record of one version, which sums up its tables.

        Parameters
        ----------
        digest, label, role : of the version
        tables : as :meth:`tables` gives them
        marked : why it judges nothing, in two or three words each
        """
        csa, spread = tables["csa"], tables["csa_std"]["csa_std_mm2"]
        summary = summarise(spread)
        low, high = mean_interval(spread.dropna().to_numpy(dtype=np.float64), self.rule.alpha)
        agreement: dict[str, Any] = {}
        if "quality" in tables:
            overall = tables["quality"][tables["quality"]["contrast"] == ALL].iloc[0]
            agreement = {name: float(overall[name]) for name in MEANS}
            agreement |= {name: int(overall[column]) for name, column in COUNTS.items()}
        return VersionRecord(
            version=digest,
            label=label,
            role=role,
            marks=list(marked),
            csa_std_mean_mm2=summary.mean,
            csa_std_sd_mm2=summary.sd,
            csa_std_low_mm2=low,
            csa_std_high_mm2=high,
            n=summary.n,
            participants=len(spread),
            cases=len(csa),
            failed=int(csa["failed"].sum()),
            unmeasured=int((csa["csa_mm2"].isna() & ~csa["failed"]).sum()),
            **agreement,
        )

    def _scores(self, version: MeasuredVersion, csa: pd.DataFrame) -> Scores:
        return scores(csa_std(csa, self.contrasts), self._in_contrasts(version.agreement), csa)

    def _row(self, bias: Bias) -> BiasRow:
        months = atrophy_months(bias.bias_mm2, self.rule.atrophy_mm2_per_year)
        return BiasRow(**asdict(bias), atrophy_months=months)

    def _in_contrasts(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[table["contrast"].isin(self.contrasts)].reset_index(drop=True)


def _joined(name: str, parts: list[TablesByName]) -> pd.DataFrame:
    """Join the tables of one name; where there are none, return the columns alone."""
    tables = [tables[name] for tables in parts if name in tables]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=EMPTY[name])


def _against(priors: Sequence[PriorRecord]) -> str | None:
    """Digest of the prior that the headline speaks of: the champion, else the newest, of those that may judge."""
    comparable = [prior for prior in priors if prior.comparable and prior.pooled]
    chosen = holder(CHAMPION, comparable) or next(reversed(comparable), None)
    return chosen.digest if chosen else None
