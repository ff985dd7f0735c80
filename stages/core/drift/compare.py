"""The comparison of a candidate with its priors and the ground truth, as tables and one record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from stages.core.drift.bias import POOLED, Bias, bias_of_contrast, pair, pooled_bias
from stages.core.drift.concordance import COLUMNS as CONCORDANCE
from stages.core.drift.concordance import concordance_table
from stages.core.drift.contrast_pairs import contrast_pairs
from stages.core.drift.conversion import COLUMNS, conversion_factors
from stages.core.drift.csa_std import csa_std, summarise
from stages.core.drift.decision import JUDGES, Judge, decide, plain
from stages.core.drift.quality import ALL, quality
from stages.core.drift.verdict import Scores, judge_drift, judge_quality, scores
from stages.core.drift.versions import REFERENCE, Series, Version, obstacle, range_csa, remark
from stages.core.params import Compare


@dataclass(frozen=True)
class Prior:
    """A prior version: compared when ``version`` is there, only shown with its reason otherwise."""

    series: Series
    label: str
    aliases: tuple[str, ...]
    version: Version | None


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


#: Of the quality table, what the record of a version holds.
MEANS = ("dice_mean", "dice_min", "rve_percent", "assd_mm", "hd95_mm", "csa_error_mm2")
BIAS_COLUMNS = ["prior", "contrast", *Bias.__dataclass_fields__]


def compare(
    candidate: Version, priors: list[Prior], *, contrasts: list[str], rule: Compare, offline: bool
) -> Comparison:
    """Compare the candidate with every comparable prior, and set the ground truth beside them, once.

    Parameters
    ----------
    priors : in the order of their versions
    contrasts : the frozen contrasts
    rule : margin, alpha and least number of contrasts, fixed before results
    offline : the history was not asked
    """
    name = candidate.series.range
    tables: dict[str, list[pd.DataFrame]] = {"csa": [], "csa_std": [], "contrast_pairs": [], "quality": []}
    versions: list[dict[str, Any]] = []
    reference = range_csa(candidate.measures, "reference", name)
    if len(reference):
        _add(tables, versions, REFERENCE, "", REFERENCE, reference, None, contrasts)
    records, bias_rows, judges = [], [], []
    factors = [pd.DataFrame(columns=["prior", *COLUMNS])]
    agreeing = [pd.DataFrame(columns=["prior", *CONCORDANCE])]
    new = range_csa(candidate.measures, "prediction", name)
    mine = _scores(new, candidate.agreement, contrasts)
    for prior in priors:
        why = obstacle(candidate.series, prior.series)
        record: dict[str, Any] = {"digest": prior.series.bundle, "label": prior.label, "aliases": list(prior.aliases)}
        record |= {"comparable": not why, "why": why or remark(candidate.series, prior.series)}
        record |= {"pooled": None, "contrasts": {}}
        roles = tuple(role for role in JUDGES if role in prior.aliases)
        if roles and (prior.version is None or why):
            judges.append(Judge(prior.series.bundle, prior.label, roles, why=why))
        if prior.version is not None and not why:
            old = range_csa(prior.version.measures, "prediction", name)
            _add(tables, versions, prior.series.bundle, prior.label, "prior", old, prior.version.agreement, contrasts)
            pairs = pair(new, old)
            found = {c: bias_of_contrast(pairs, c, rule.alpha) for c in contrasts}
            pooled = pooled_bias(pairs[pairs["contrast"].isin(contrasts)], rule.min_contrasts, rule.alpha)
            record |= {"pooled": plain(asdict(pooled)), "contrasts": {c: plain(asdict(b)) for c, b in found.items()}}
            if roles:
                theirs = _scores(old, prior.version.agreement, contrasts)
                rows, criteria = judge_drift(pairs, contrasts, rule), judge_quality(mine, theirs, rule)
                judges.append(Judge(prior.series.bundle, prior.label, roles, tuple(rows), tuple(criteria)))
            converted = conversion_factors(candidate.measures, prior.version.measures, name, contrasts, rule.alpha)
            factors.append(converted.assign(prior=prior.series.bundle)[["prior", *COLUMNS]])
            agreed = concordance_table(pairs, contrasts, rule.min_contrasts, rule.alpha)
            agreeing.append(agreed.assign(prior=prior.series.bundle)[["prior", *CONCORDANCE]])
            bias_rows += [
                {"prior": prior.series.bundle, "contrast": c, **asdict(b)} for c, b in {**found, POOLED: pooled}.items()
            ]
        records.append(record)
    _add(tables, versions, candidate.series.bundle, "", "candidate", new, candidate.agreement, contrasts)
    series = asdict(candidate.series)
    drift = {
        "candidate": {key: series[key] for key in ("bundle", "inference", "ruler", "frozen")},
        "range": name,
        "contrasts": contrasts,
        "margin_mm2": rule.margin_mm2,
        "alpha": rule.alpha,
        "min_contrasts": rule.min_contrasts,
        "versions": versions,
        "priors": records,
        "against": _against(records),
        "offline": offline,
        "rule": rule.model_dump(mode="json"),
        "verdict": decide(judges, priors=len(priors), offline=offline).record(),
    }
    joined = {key: pd.concat(parts, ignore_index=True) for key, parts in tables.items()}
    return Comparison(
        drift,
        csa_std=joined["csa_std"],
        csa=joined["csa"],
        contrast_pairs=joined["contrast_pairs"],
        bias=_bias_table(bias_rows),
        quality=joined["quality"],
        conversion=_joined(factors),
        concordance=_joined(agreeing),
    )


def _scores(csa: pd.DataFrame, agreement: pd.DataFrame, contrasts: list[str]) -> Scores:
    csa = csa[csa["contrast"].isin(contrasts)]
    return scores(csa_std(csa, contrasts), agreement[agreement["contrast"].isin(contrasts)], csa)


def _joined(factors: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; the empty first one only gives it its columns."""
    return pd.concat(factors[1:], ignore_index=True) if len(factors) > 1 else factors[0]


def _bias_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=BIAS_COLUMNS)


def _against(records: list[dict[str, Any]]) -> str | None:
    """Digest of the prior that the headline speaks of: the champion, else the newest, of the comparable ones."""
    comparable = [record for record in records if record["comparable"] and record["pooled"]]
    champions = [record for record in comparable if "champion" in record["aliases"]]
    chosen = (champions or comparable)[-1:]
    return str(chosen[0]["digest"]) if chosen else None


def _add(
    tables: dict[str, list[pd.DataFrame]],
    versions: list[dict[str, Any]],
    digest: str,
    label: str,
    role: str,
    csa: pd.DataFrame,
    agreement: pd.DataFrame | None,
    contrasts: list[str],
) -> None:
    """Append one version's rows to the tables and its summary to ``versions``."""
    csa = csa[csa["contrast"].isin(contrasts)]
    spread = csa_std(csa, contrasts)
    summary = summarise(spread["csa_std_mm2"])
    record: dict[str, Any] = {"version": digest, "label": label, "role": role}
    record |= {"csa_std_mean_mm2": summary.mean, "csa_std_sd_mm2": summary.sd, "n": summary.n}
    record |= {"participants": len(spread), "cases": len(csa), "failed": int(csa["failed"].sum())}
    record["unmeasured"] = int((csa["csa_mm2"].isna() & ~csa["failed"]).sum())
    if agreement is not None:
        table = quality(agreement[agreement["contrast"].isin(contrasts)], csa, contrasts)
        overall = table[table["contrast"] == ALL].iloc[0]
        record |= {key: float(overall[key]) for key in MEANS}
        record |= {key: int(overall[key]) for key in ("n_csa", "n_rve", "n_surface")} | {"n_dice": int(overall["n"])}
        tables["quality"].append(_named(table, digest))
    versions.append(plain(record))
    tables["csa"].append(_named(csa, digest))
    tables["csa_std"].append(_named(spread, digest))
    tables["contrast_pairs"].append(_named(contrast_pairs(csa, contrasts), digest))


def _named(table: pd.DataFrame, digest: str) -> pd.DataFrame:
    out = table.copy()
    out.insert(0, "version", digest)
    return out
