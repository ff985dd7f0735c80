"""The comparison of a candidate with its priors and the ground truth, as tables and one record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ...tables.monitored import CASE, OFF_CORD, Kind, Source, csa_of, monitored_pair, range_csa
from ..conversion.factors import COLUMNS, conversion_factors
from ..conversion.publication import WITHHELD, with_reasons
from ..record.floors import Floors
from ..record.record import (
    Acceptance,
    BiasRow,
    Declared,
    DeclaredItem,
    DriftRecord,
    LeftOut,
    PriorRecord,
    Role,
    Rule,
    SeriesRecord,
    VersionRecord,
    missing_shards,
)
from ..rule.protocol import Protocol, other_rule
from ..rule.settings import Compare
from ..statistics.bias import POOLED, mean_interval, pair, person_means
from ..statistics.concordance import COLUMNS as CONCORDANCE
from ..statistics.concordance import concordance_table
from ..statistics.contrast_pairs import contrast_pairs
from ..statistics.coverage import coverage_of_cases
from ..statistics.csa_std import csa_std, paired_csa_std, summarise
from ..statistics.quality import ALL, paired_csa_error, quality
from ..statistics.subgroups import ATTRIBUTES, groups, subgroups
from ..versions.validity import validated
from ..versions.version import CHAMPION, REFERENCE, MeasuredVersion, Prior, holder, marks, obstacle, remark, roles_of
from .decision import decide, unmeasured
from .evidence import Evidence, differences, failed_cases, people_of_cases, values_by_person
from .judges import Case, bias_row, judge_all
from .verdict import drift_rows


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
    failures: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "drift"}


#: Means of the quality table that the record of a version holds.
MEANS = ("dice_mean", "dice_min", "rve_percent", "assd_mm", "hd95_mm", "csa_error_mm2")
#: Counts of the record -> column of the quality table.
COUNTS = {"n_dice": "n", "n_rve": "n_rve", "n_surface": "n_surface", "n_csa": "n_csa"}
#: Columns of the tables that have no row where there is no prior.
COLUMNS_BY_TABLE = {
    "bias": ["prior", "contrast", *BiasRow.model_fields],
    "conversion": ["prior", *COLUMNS, WITHHELD],
    "concordance": ["prior", *CONCORDANCE],
}
#: Columns of the table of participants that the comparison uses.
KNOWN = [*CASE[:2], "site", *ATTRIBUTES]
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
    gaps: Sequence[str] = (),
    accepted: Sequence[Mapping[str, str]] = (),
    left_out: Sequence[Mapping[str, str]] = (),
) -> Comparison:
    """Compare the candidate with every prior, and set the ground truth beside them, once.

    A prior of another frozen set, another ruler or another rule is compared and marked, and judges nothing.

    Parameters
    ----------
    priors : in the order of their versions
    contrasts : the frozen contrasts
    rule : by what the candidate is judged, fixed before results
    offline : the history was not asked
    people : columns dataset, participant, site, manufacturer, sex, age, pathology (text)
    declared : by what the candidate was to be judged, and what of it was changed since
    floors : what moves when nothing should, as the stage floor found it
    gaps : what is missing in the history, in sentences
    accepted : ``who``, ``when`` and ``why`` of the candidate's promotions
    left_out : ``label``, ``digest``, ``frozen`` and ``why`` of versions that are no priors
    """
    known = pd.DataFrame(columns=KNOWN, dtype=object) if people is None else people
    comparer = _Comparer(_valid(candidate, rule), contrasts, rule, known, declared)
    versions: list[VersionRecord] = []
    parts: list[TablesByName] = []
    reference = comparer.csa(candidate, "reference")
    if len(reference):
        parts.append(comparer.tables(REFERENCE, reference))
        versions.append(comparer.version(REFERENCE, "", "reference", parts[-1]))
    beside = [comparer.compare_with(prior) for prior in priors]
    versions += [one.version for one in beside if one.version]
    parts += [one.tables for one in beside]
    own = comparer.candidate
    parts.append(comparer.tables(candidate.series.bundle, comparer.csa(own.version), own))
    versions.append(comparer.version(candidate.series.bundle, "", "candidate", parts[-1]))
    records = [one.record for one in beside]
    drift = DriftRecord(
        candidate=SeriesRecord(**{key: getattr(candidate.series, key) for key in SeriesRecord.model_fields}),
        range=candidate.series.range,
        contrasts=contrasts,
        versions=versions,
        priors=records,
        against=_against(records),
        offline=offline,
        incomplete=missing_shards(candidate.lost),
        # A trial was measured too, and whoever tunes a model by trials fits it to this set.
        used=1
        + sum(prior.series.frozen == candidate.series.frozen for prior in priors)
        + sum(one["frozen"] == candidate.series.frozen for one in left_out),
        left_out=[LeftOut(**one) for one in left_out],
        accepted=[Acceptance(**one) for one in accepted],
        rule=Rule(**rule.model_dump() | {"metrics": rule.metrics}),
        declared=declared,
        floors=floors or Floors(runner=[], seeds=[]),
        verdict=decide(
            judge_all([one.case for one in beside if one.case], rule),
            priors=sum(bool(prior.series.frozen) for prior in priors),  # an imported one is shown and judges nothing
            offline=offline,
            missing=[*missing_shards(candidate.lost), *gaps],
            doubts=_doubts(declared),
            blind=unmeasured(parts[-1]["csa"], rule.primary.contrasts or contrasts, rule.min_contrasts),
        ),
    )
    return Comparison(drift, **{f.name: _joined(f.name, parts) for f in fields(Comparison) if f.name != "drift"})


def _doubts(declared: Declared | None) -> list[str]:
    """Say why the rule was not fixed before the results, so that nothing is called equivalent by it."""
    if declared is None:
        return []
    doubts = []
    if declared.changed:
        names = ", ".join(declared.changed)
        doubts.append(f"changed after it was declared: {names}; nothing is called equivalent then")
    if declared.when and not declared.before_results:
        doubts.append(
            f"the rule was declared on {declared.when[:10]}, when this version had results already; nothing is called "
            "equivalent by a rule that was declared late"
        )
    return doubts


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
class _Valid:
    """A version without the values of masks that miss the cord, and the table of its failures."""

    version: MeasuredVersion
    failures: pd.DataFrame


def _valid(version: MeasuredVersion, rule: Compare) -> _Valid:
    return _Valid(*validated(version, rule.min_dice, rule.max_centreline_mm))


@dataclass(frozen=True)
class _Beside:
    """The candidate beside one prior; ``case`` is None where it judges nothing, ``version`` where it has no tables."""

    record: PriorRecord
    case: Case | None
    version: VersionRecord | None
    tables: TablesByName


@dataclass(frozen=True)
class _Comparer:
    """The candidate and all that it is compared by."""

    candidate: _Valid
    contrasts: list[str]
    rule: Compare
    people: pd.DataFrame
    declared: Declared | None

    def csa(self, version: MeasuredVersion, source: Source = "prediction") -> pd.DataFrame:
        """CSA of one version in the frozen contrasts."""
        kind = self.rule.primary.kind
        return self._in_contrasts(range_csa(version.measures, source, version.series.range, kind))

    def compare_with(self, prior: Prior) -> _Beside:
        """Set the candidate beside a prior."""
        series = self.candidate.version.series
        digest, roles = prior.series.bundle, roles_of(prior)
        hidden, marked = obstacle(series, prior.series), marks(series, prior.series)
        apart = " ".join(filter(None, [hidden, *marked.values()]))
        # Another rule hides no number: the version is compared, and only does not judge.
        rule_mark = self._mark_of_rule(prior) if roles else {}
        why = " ".join(filter(None, [apart, *rule_mark.values()]))
        record = PriorRecord(
            digest=digest,
            label=prior.label,
            aliases=list(prior.aliases),
            comparable=not apart,
            marks=[*marked, *rule_mark],
            why=why or remark(series, prior),
            pooled=None,
            contrasts={},
        )
        if prior.version is None or hidden:
            return _Beside(record, Case(digest, prior.label, roles, why, None) if roles else None, None, {})
        old, rule = _valid(prior.version, self.rule), self.rule
        pairs = self._pairs(old.version, rule.primary.kind)
        evidence = self._evidence(pairs, old.version)
        rows = drift_rows(evidence.metrics[rule.primary.name], evidence.people, rule.primary, rule)
        biases = {row.contrast: bias_row(row, rule) for row in rows}
        tables = {
            "bias": pd.DataFrame([{"contrast": name, **dict(row)} for name, row in biases.items()]),
            "conversion": with_reasons(self._factors(old.version), rule, apart),
            "concordance": concordance_table(pairs, self.contrasts, rule.min_contrasts, rule.alpha),
        }
        tables = {key: table.assign(prior=digest)[COLUMNS_BY_TABLE[key]] for key, table in tables.items()}
        moved = person_means(pairs, rule.min_contrasts)["difference"]
        tables |= self.tables(digest, self.csa(old.version), old, moved)
        version = self.version(digest, prior.label, "prior", tables, list(marked), evidence)
        pooled = biases.pop(POOLED)
        case = Case(digest, prior.label, roles, why, None if why else evidence) if roles else None
        return _Beside(record.model_copy(update={"pooled": pooled, "contrasts": biases}), case, version, tables)

    def _factors(self, old: MeasuredVersion) -> pd.DataFrame:
        new, rule = self.candidate.version, self.rule
        return conversion_factors(
            new.measures, old.measures, new.series.range, self.contrasts, rule.min_contrasts, rule.alpha
        )

    def _mark_of_rule(self, prior: Prior) -> dict[str, str]:
        """Return the mark of a judge that was declared under another rule, or whose rule is not known."""
        if self.declared is None:
            return {}
        if prior.declared is None:
            return {
                "rule not known": "By which rule it was judged is not on record, so that it cannot judge by this one."
            }
        now = {item.name: item.declared for item in self.declared.items}
        found = other_rule(now, prior.declared)
        if not found:
            return {}
        return {"other rule": f"It was declared under another rule ({'; '.join(found)})."}

    def _pairs(self, old: MeasuredVersion, kind: Kind) -> pd.DataFrame:
        """Return the cases of both versions side by side, over the slices that both cover."""
        range_name = self.candidate.version.series.range
        both = monitored_pair(self.candidate.version.measures, old.measures, range_name, kind=kind)
        new_csa, old_csa = (self._in_contrasts(csa_of(rows)) for rows in both)
        return pair(new_csa, old_csa)

    def _evidence(self, pairs: pd.DataFrame, old: MeasuredVersion) -> Evidence:
        new, rule = self.candidate.version, self.rule
        people = people_of_cases(pairs, self.people, rule.watched)
        found = {
            metric.name: differences(
                pairs if metric.kind == rule.primary.kind else self._pairs(old, metric.kind), people, self.contrasts
            )
            for metric in rule.metrics
        }
        new_areas, old_areas = (
            pairs[CASE].assign(csa_mm2=pairs[side].where(pairs["difference"].notna())) for side in ("new", "old")
        )
        covered = self._in_contrasts(coverage_of_cases(new.measures, old.measures, new.series.range))
        criteria = {
            "csa_std_mm2": paired_csa_std(new_areas, old_areas, self.contrasts),
            "csa_error_mm2": paired_csa_error(self._in_contrasts(new.agreement), self._in_contrasts(old.agreement)),
            "uncovered": covered.assign(new=1.0 - covered["new"], old=1.0 - covered["old"]).dropna(
                subset=["new", "old"]
            ),
        }
        if len(self.contrasts) < 2:
            del criteria["csa_std_mm2"]  # one contrast has no spread that could grow
        values = {name: values_by_person(table, people) for name, table in criteria.items()}
        return Evidence(people, found, values, failed_cases(pairs))

    def tables(
        self,
        digest: str,
        csa: pd.DataFrame,
        valid: _Valid | None = None,
        moved: pd.Series[float] | None = None,
    ) -> TablesByName:
        """Return the tables of one version, with its digest in the first column.

        Parameters
        ----------
        digest : of the version
        csa : its CSA, as :meth:`csa` gives it
        valid : the version; None of the ground truth
        moved : candidate - this version (mm2) by dataset and participant; None of the candidate itself
        """
        spread = csa_std(csa, self.contrasts)
        tables = {
            "csa": csa,
            "csa_std": spread,
            "contrast_pairs": contrast_pairs(csa, self.contrasts),
            "subgroups": subgroups(groups(csa, self.people), spread, moved, self.rule.alpha),
        }
        if valid is not None:
            tables["quality"] = quality(self._in_contrasts(valid.version.agreement), csa, self.contrasts)
            tables["failures"] = self._in_contrasts(valid.failures)
        return {key: table.assign(version=digest)[["version", *table.columns]] for key, table in tables.items()}

    def version(
        self,
        digest: str,
        label: str,
        role: Role,
        tables: TablesByName,
        marked: Sequence[str] = (),
        evidence: Evidence | None = None,
    ) -> VersionRecord:
        """Return the record of one version, which sums up its tables.

        Parameters
        ----------
        digest, label, role : of the version
        tables : as :meth:`tables` gives them
        marked : why it judges nothing, in two or three words each
        evidence : the candidate beside it; None of the candidate itself and of the ground truth
        """
        csa, spread = tables["csa"], tables["csa_std"]["csa_std_mm2"]
        summary = summarise(spread)
        low, high = mean_interval(spread.dropna().to_numpy(dtype=np.float64), self.rule.alpha)
        agreement: dict[str, Any] = {}
        if "quality" in tables:
            overall = tables["quality"][tables["quality"]["contrast"] == ALL].iloc[0]
            agreement = {name: float(overall[name]) for name in MEANS}
            agreement |= {name: int(overall[column]) for name, column in COUNTS.items()}
            agreement["off_cord"] = int((tables["failures"]["failure"] == OFF_CORD).sum())
        if evidence is not None:
            for criterion, key in (("csa_std_mm2", "csa_std"), ("csa_error_mm2", "csa_error")):
                if criterion not in evidence.criteria:
                    continue
                difference = np.diff(evidence.criteria[criterion][:, ::-1], axis=1).ravel()
                difference = difference[np.isfinite(difference)]
                agreement[f"{key}_difference_mm2"] = float(difference.mean()) if len(difference) else math.nan
                agreement[f"n_{key}_difference"] = len(difference)
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

    def _in_contrasts(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[table["contrast"].isin(self.contrasts)].reset_index(drop=True)


def _joined(name: str, parts: list[TablesByName]) -> pd.DataFrame:
    """Join the tables of one name; where there are none, return the columns alone."""
    tables = [tables[name] for tables in parts if name in tables]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS_BY_TABLE[name])


def _against(priors: Sequence[PriorRecord]) -> str | None:
    """Digest of the prior that the headline speaks of: the champion, else the newest, of those that may judge."""
    comparable = [prior for prior in priors if prior.comparable and prior.pooled]
    chosen = holder(CHAMPION, comparable) or next(reversed(comparable), None)
    return chosen.digest if chosen else None
