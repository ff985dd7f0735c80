"""The comparison of a candidate with its priors and the ground truth, as tables and one record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ...tables.monitored import CASE, range_csa
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
from ..versions.version import REFERENCE, MeasuredVersion, Prior, marks, obstacle, remark
from .decision import JUDGES, Judge, decide, incomplete, plain
from .verdict import Scores, judge_drift, judge_quality, scores


@dataclass(frozen=True)
class Comparison:
    """Record ``drift`` (JSON values only), and the tables by the names of their files."""

    drift: dict[str, Any]
    csa_std: pd.DataFrame
    csa: pd.DataFrame
    contrast_pairs: pd.DataFrame
    bias: pd.DataFrame
    quality: pd.DataFrame
    conversion: pd.DataFrame
    concordance: pd.DataFrame
    subgroups: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "drift"}


#: Of the quality table, what the record of a version holds.
MEANS = ("dice_mean", "dice_min", "rve_percent", "assd_mm", "hd95_mm", "csa_error_mm2")
#: Columns of the tables that have no row where there is no prior.
EMPTY = {
    "bias": ["prior", "contrast", *Bias.__dataclass_fields__, "atrophy_months"],
    "conversion": ["prior", *COLUMNS],
    "concordance": ["prior", *CONCORDANCE],
}
Tables = dict[str, pd.DataFrame]


def compare(
    candidate: MeasuredVersion,
    priors: list[Prior],
    *,
    contrasts: list[str],
    rule: Compare,
    offline: bool,
    people: pd.DataFrame | None = None,
    declared: dict[str, Any] | None = None,
    floors: dict[str, Any] | None = None,
) -> Comparison:
    """Compare the candidate with every prior, and set the ground truth beside them, once.

    A prior of another frozen set or another ruler is compared and marked, and judges nothing.

    Parameters
    ----------
    priors : in the order of their versions
    contrasts : the frozen contrasts
    rule : margin, alpha and least number of contrasts, fixed before results
    offline : the history was not asked
    declared : by what the candidate was to be judged, and what of it was changed since
    floors : what moves when nothing should: records ``runner`` and ``seeds``, as the stage floor writes them
    people : columns dataset, participant, manufacturer, sex, age, pathology (text)
    """
    name = candidate.series.range
    changed = list(declared["changed"]) if declared else []
    new = _one_range(candidate, "prediction", contrasts)
    reference = _one_range(candidate, "reference", contrasts)
    known = pd.DataFrame(columns=[*CASE[:2], *ATTRIBUTES], dtype=object) if people is None else people
    floors = floors or {"runner": [], "seeds": []}
    # CSA STD and CSA error may grow by what another seed moves them.
    seed_floor = max((abs(row["csa_std_difference_mm2"] or 0.0) for row in floors["seeds"]), default=0.0)
    side = _Side(candidate, new, contrasts, rule, known, seed_floor)
    seen: list[tuple[dict[str, Any], Tables]] = []
    if len(reference):
        seen.append(side.version(REFERENCE, "", REFERENCE, reference, None))
    records, judges, parts = [], [], []
    for prior in priors:
        record, judge, tables = side.against(prior)
        records.append(record)
        judges += [judge] if judge else []
        parts.append(tables)
        if prior.version is not None:
            old = _one_range(prior.version, "prediction", contrasts)
            one = side.version(prior.series.bundle, prior.label, "prior", old, prior.version.agreement)
            one[0]["marks"] = record["marks"]
            seen.append(one)
    own = sum(bool(prior.series.frozen) for prior in priors)  # an imported one is shown and judges nothing
    seen.append(side.version(candidate.series.bundle, "", "candidate", new, candidate.agreement))
    series = asdict(candidate.series)
    drift = {
        "candidate": {key: series[key] for key in ("bundle", "inference", "ruler", "frozen")},
        "range": name,
        "contrasts": contrasts,
        "margin_mm2": rule.margin_mm2,
        "alpha": rule.alpha,
        "min_contrasts": rule.min_contrasts,
        "versions": [record for record, _ in seen],
        "priors": records,
        "against": _against(records),
        "offline": offline,
        "incomplete": incomplete(candidate.lost),
        "used": 1 + sum(prior.series.frozen == candidate.series.frozen for prior in priors),
        "rule": rule.model_dump(mode="json"),
        "declared": declared,
        "floors": {key: floors[key] for key in ("runner", "seeds")},
        "verdict": decide(judges, priors=own, offline=offline, changed=changed, lost=candidate.lost).record(),
    }
    parts += [tables for _, tables in seen]
    return Comparison(drift, **{f.name: _joined(f.name, parts) for f in fields(Comparison) if f.name != "drift"})


@dataclass(frozen=True)
class _Side:
    """The candidate, ready to be set beside one version after the other; ``csa`` is its CSA at the range."""

    candidate: MeasuredVersion
    csa: pd.DataFrame
    contrasts: list[str]
    rule: Compare
    people: pd.DataFrame
    seed_floor_mm2: float

    def against(self, prior: Prior) -> tuple[dict[str, Any], Judge | None, Tables]:
        """Record of a prior, what it says as a judge (None where it is none), and the tables of the comparison."""
        rule, contrasts, digest = self.rule, self.contrasts, prior.series.bundle
        hidden, marked = obstacle(self.candidate.series, prior.series), marks(self.candidate.series, prior.series)
        why = " ".join(filter(None, [hidden, *marked.values()]))
        record: dict[str, Any] = {"digest": digest, "label": prior.label, "aliases": list(prior.aliases)}
        record |= {"comparable": not why, "marks": list(marked)}
        record |= {"why": why or remark(self.candidate.series, prior.series), "pooled": None, "contrasts": {}}
        roles = tuple(role for role in JUDGES if role in prior.aliases)
        if prior.version is None or hidden:
            return record, Judge(digest, prior.label, roles, why=why) if roles else None, {}
        old = _one_range(prior.version, "prediction", contrasts)
        pairs = pair(self.csa, old)
        found = {c: bias_of_contrast(pairs, c, rule.alpha) for c in contrasts}
        found[POOLED] = pooled_bias(pairs, rule.min_contrasts, rule.alpha)
        rows = {c: {**asdict(b), "atrophy_months": self._months(b)} for c, b in found.items()}
        record |= {"pooled": plain(rows[POOLED]), "contrasts": {c: plain(rows[c]) for c in contrasts}}
        judge = Judge(digest, prior.label, roles, why=why) if roles else None
        if judge and not why:
            mine, theirs = self._scores(self.candidate, self.csa), self._scores(prior.version, old)
            criteria = judge_quality(mine, theirs, rule, self.seed_floor_mm2)
            judge = Judge(digest, prior.label, roles, tuple(judge_drift(pairs, contrasts, rule)), tuple(criteria))
        measures = self.candidate.measures, prior.version.measures
        tables = {
            "bias": pd.DataFrame([{"contrast": c, **row} for c, row in rows.items()]),
            "conversion": conversion_factors(*measures, self.candidate.series.range, contrasts, rule.alpha),
            "concordance": concordance_table(pairs, contrasts, rule.min_contrasts, rule.alpha),
        }
        return record, judge, {key: table.assign(prior=digest)[EMPTY[key]] for key, table in tables.items()}

    def version(
        self, digest: str, label: str, role: str, csa: pd.DataFrame, agreement: pd.DataFrame | None
    ) -> tuple[dict[str, Any], Tables]:
        """Record and tables of one version."""
        contrasts, rule = self.contrasts, self.rule
        spread = csa_std(csa, contrasts)
        summary = summarise(spread["csa_std_mm2"])
        low, high = mean_interval(spread["csa_std_mm2"].dropna().to_numpy(dtype=np.float64), rule.alpha)
        record: dict[str, Any] = {"version": digest, "label": label, "role": role, "marks": []}
        record |= {"csa_std_mean_mm2": summary.mean, "csa_std_sd_mm2": summary.sd, "n": summary.n}
        record |= {"csa_std_low_mm2": low, "csa_std_high_mm2": high}
        record |= {"participants": len(spread), "cases": len(csa), "failed": int(csa["failed"].sum())}
        record["unmeasured"] = int((csa["csa_mm2"].isna() & ~csa["failed"]).sum())
        difference = None
        if role == "prior":
            difference = person_means(pair(self.csa, csa), rule.min_contrasts)["difference"]
        membership = groups(csa, self.people)
        tables = {"csa": csa, "csa_std": spread, "contrast_pairs": contrast_pairs(csa, contrasts)}
        tables["subgroups"] = subgroups(membership, spread, difference, rule.alpha)
        if agreement is not None:
            table = quality(agreement[agreement["contrast"].isin(contrasts)], csa, contrasts)
            overall = table[table["contrast"] == ALL].iloc[0]
            record |= {key: float(overall[key]) for key in MEANS}
            record |= {key: int(overall[key]) for key in ("n_csa", "n_rve", "n_surface")} | {
                "n_dice": int(overall["n"])
            }
            tables["quality"] = table
        named = {key: table.assign(version=digest)[["version", *table.columns]] for key, table in tables.items()}
        return plain(record), named

    def _months(self, bias: Bias) -> float:
        return atrophy_months(bias.bias_mm2, self.rule.atrophy_mm2_per_year)

    def _scores(self, version: MeasuredVersion, csa: pd.DataFrame) -> Scores:
        agreement = version.agreement[version.agreement["contrast"].isin(self.contrasts)]
        return scores(csa_std(csa, self.contrasts), agreement, csa)


def _one_range(version: MeasuredVersion, source: str, contrasts: list[str]) -> pd.DataFrame:
    csa = range_csa(version.measures, source, version.series.range)
    return csa[csa["contrast"].isin(contrasts)].reset_index(drop=True)


def _joined(name: str, parts: list[Tables]) -> pd.DataFrame:
    """One table of all that were made under a name; without any, its columns alone."""
    tables = [tables[name] for tables in parts if name in tables]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=EMPTY[name])


def _against(records: list[dict[str, Any]]) -> str | None:
    """Digest of the prior that the headline speaks of: the champion, else the newest, of those that may judge."""
    comparable = [record for record in records if record["comparable"] and record["pooled"]]
    champions = [record for record in comparable if "champion" in record["aliases"]]
    chosen = (champions or comparable)[-1:]
    return str(chosen[0]["digest"]) if chosen else None
