"""The rows of the report's tables, as text; an undefined number is a dash."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...drift.record.floors import RunnerFloor
from ...drift.record.record import DriftRecord
from ...tables.monitored import CASE, OFF_CORD, Source, monitored_rows
from .wording import DASH, Shown, interval, label_of, number, short

#: Columns of subgroups.csv that are of one version, and not of a difference between two.
COUNTED = ["participants", "n_csa_std", "csa_std_mean_mm2", "csa_std_sd_mm2"]


def version_rows(drift: DriftRecord, shown: Sequence[Shown]) -> list[dict[str, str]]:
    """Return the rows of the headline table, ground truth first."""
    return [
        {
            "label": label_of(shown, version.version),
            "role": version.role,
            "csa_std": plus_minus(version.csa_std_mean_mm2, version.csa_std_sd_mm2),
            "n": f"{version.n} of {version.participants}",
            "dice": _two(version.dice_mean, version.dice_min, 3) + _counted(version.n_dice),
            "rve": number(version.rve_percent, 1),
            "surfaces": _two(version.assd_mm, version.hd95_mm, 2),
            "csa_error": number(version.csa_error_mm2) + _counted(version.n_csa),
            "failed": f"{version.failed} of {version.cases}"
            + (f", {version.off_cord} off the cord" if version.off_cord else ""),
            "csa_std_difference": number(version.csa_std_difference_mm2) + _counted(version.n_csa_std_difference),
            "csa_error_difference": number(version.csa_error_difference_mm2) + _counted(version.n_csa_error_difference),
            "unmeasured": str(version.unmeasured),
        }
        for version in drift.versions
    ]


def resource_rows(table: pd.DataFrame, shown: Sequence[Shown], contrasts: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each version whose segmentation was timed: seconds per image by contrast, and memory.

    Parameters
    ----------
    table : columns version, and those of ``BY_CONTRAST_COLUMNS``
    shown : the versions, in order
    contrasts : the columns of the rows
    """
    rows = []
    for item in shown:
        own = table[table["version"] == item.version].set_index("contrast")
        if own.empty:
            continue
        known = own.reindex(list(contrasts))
        cells = zip(known["seconds_median"], known["seconds_max"], strict=True)
        on = sorted({f"{backend}, {device}" for backend, device in zip(own["backend"], own["device"], strict=True)})
        rows.append(
            {
                "label": item.label,
                "images": int(own["images"].sum()),
                "on": "; ".join(on),
                "seconds": [
                    DASH if pd.isna(median) else f"{number(median)} ({number(most)})" for median, most in cells
                ],
                "share": number(100 * own["share_computed"].median(), 0) + " %",
                "memory": number(own["peak_memory_mb"].max(), 0),
            }
        )
    return rows


def _counted(n: int) -> str:
    """Write the number behind a mean; nothing where there is no mean."""
    return f" (n = {n})" if n else ""


def _two(first: object, second: object, digits: int) -> str:
    """Write two numbers that belong together; one dash where neither is defined."""
    both = [number(first, digits), number(second, digits)]
    return DASH if both == [DASH, DASH] else ", ".join(both)


def bias_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of the bias table of one prior: its contrasts, then pooled."""
    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "dropped": str(int(row["dropped"])),
            "interval": interval(row["ci_low_mm2"], row["ci_high_mm2"]),
            "bias": number(row["bias_mm2"]),
            "percent": number(row["bias_percent"], 1),
            "months": number(row["atrophy_months"], 1),
        }
        for _, row in table.iterrows()
    ]


def concordance_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of the table of agreement with one prior, as compare wrote it."""
    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "limits": interval(row["limit_lower_mm2"], row["limit_upper_mm2"]),
            "slope": number(row["slope"], 3),
            "slope_interval": interval(row["slope_low"], row["slope_high"], 3),
            "ccc": number(row["ccc"], 3),
            "ccc_interval": interval(row["ccc_low"], row["ccc_high"], 3),
            "icc": number(row["icc"], 3),
            "p": _p(float(row["holm_p"]), int(row["n"]), len(table)),
        }
        for _, row in table.iterrows()
    ]


def _p(holm_p: float, n: int, rows: int) -> str:
    """Write an adjusted Wilcoxon p; where n is so small that no p below 0.05 can come out, that is said."""
    said = "< 0.001" if holm_p < 0.001 else number(holm_p, 3)
    smallest = min(1.0, rows * 2.0 ** (1 - n))  # all n differences have one sign
    return f"{said} (n = {n} gives no less than {number(smallest, 2)})" if n > 0 and smallest >= 0.05 else said


def conversion_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of the factors of one metric from one prior to the candidate."""
    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "factor": number(row["factor"], 4),
            "interval": interval(row["ci_low"], row["ci_high"], 4),
            "line": _line(row["line_intercept"], row["line_slope"]),
            "intercept_interval": interval(row["line_intercept_low"], row["line_intercept_high"], 1),
            "slope_interval": interval(row["line_slope_low"], row["line_slope_high"], 3),
            "old": interval(row["old_low"], row["old_high"], 0),
            "person": DASH if pd.isna(row["person_half_width"]) else f"±{number(row['person_half_width'], 1)}",
            "small": _excess(row, "small"),
            "large": _excess(row, "large"),
            "published": "yes" if not row["withheld"] else f"no: {row['withheld']}",
            "trend": number(row["slice_trend_per_cm"], 4),
            "trend_interval": interval(row["slice_trend_low"], row["slice_trend_high"], 4),
            "slice_n": str(int(row["slice_n"])),
        }
        for _, row in table.iterrows()
    ]


def _line(intercept: float, slope: float) -> str:
    return DASH if pd.isna(slope) else f"{number(intercept, 1)} + {number(slope, 3)} · old"


def _excess(row: pd.Series[Any], size: str) -> str:
    """Write by how much the factor differs from the line for a small or a large cord."""
    found = row[f"{size}_excess"]
    return DASH if pd.isna(found) else f"{number(found)} at {number(row[f'{size}_old'], 0)}"


def subgroup_rows(candidate: pd.DataFrame, prior: pd.DataFrame | None) -> list[dict[str, str]]:
    """Return the rows of the groups: CSA STD of the candidate, and its bias to one prior where there is one.

    Parameters
    ----------
    candidate, prior : rows of subgroups.csv of each version
    """
    key = ["attribute", "group"]
    both = candidate
    if prior is not None:
        both = candidate[[*key, *COUNTED]].merge(prior.drop(columns=COUNTED), on=key, how="left")
    rows = []
    before = None
    for _, row in both.iterrows():
        first, before = row["attribute"] != before, row["attribute"]
        n = 0 if pd.isna(row["n"]) else int(row["n"])
        rows.append(
            {
                "attribute": str(row["attribute"]) if first else "",
                "group": "" if row["attribute"] == row["group"] else str(row["group"]),
                "participants": str(int(row["participants"])),
                "csa_std": plus_minus(row["csa_std_mean_mm2"], row["csa_std_sd_mm2"]),
                "n_csa_std": str(int(row["n_csa_std"])),
                "bias": number(row["bias_mm2"]),
                "interval": interval(row["ci_low_mm2"], row["ci_high_mm2"]),
                "n": str(n),
            }
        )
    return rows


def prior_rows(drift: DriftRecord, shown: Sequence[Shown]) -> list[dict[str, str]]:
    """Return the rows of the earlier versions: pooled bias, and whether they judge."""
    labels = {item.version: item.label for item in shown}
    rows = []
    for prior in drift.priors:
        pooled = prior.pooled
        label = labels.get(prior.digest) or prior.label or short(prior.digest)
        if prior.aliases:
            label += f" ({', '.join(prior.aliases)})"
        how = "yes" if prior.comparable else "shown, judges nothing" if pooled else "no"
        rows.append(
            {
                "label": label,
                "bias": number(pooled.bias_mm2) if pooled else DASH,
                "interval": interval(pooled.ci_low_mm2, pooled.ci_high_mm2) if pooled else DASH,
                "n": str(pooled.n) if pooled else "0",
                "why": f"{how}. {prior.why}" if prior.why else how,
            }
        )
    return rows


def floor_rows(drift: DriftRecord) -> dict[str, Any]:
    """Return the rows of both floors, and the bias of the headline in units of them (``said``)."""
    runner = [
        {
            "variant": row.variant,
            "n": _cases(row),
            "mean": number(row.mean_mm2, 3),
            "mean_abs": number(row.mean_abs_mm2, 3),
            "worst": number(row.worst_mm2, 3),
        }
        for row in drift.floors.runner
    ]
    seeds = [
        {
            "seed": row.seed,
            "n": str(row.n),
            "bias": number(row.bias_mm2),
            "csa_std": f"{number(row.csa_std_difference_mm2)} (n = {row.n_csa_std})",
        }
        for row in drift.floors.seeds
    ]
    return {"runner": runner, "seeds": seeds, "said": in_floors(drift)}


def in_floors(drift: DriftRecord) -> str:
    """Say how many times the floors the bias of the headline is; empty where that cannot be said."""
    pooled = drift.headline_prior.pooled if drift.headline_prior else None
    if pooled is None or math.isnan(pooled.bias_mm2):
        return ""
    bias, said = pooled.bias_mm2, []
    for name, moved in (
        ("the runner's largest mean change", drift.floors.runner_mm2),
        ("what another seed moves", drift.floors.seeds_mm2),
    ):
        if moved > 0:
            said.append(f"{number(abs(bias) / moved, 1)} times {name} ({number(moved, 3)} mm²)")
        elif moved == 0:
            said.append(f"{'beyond' if bias else 'no more than'} {name}, which is 0")
    sentences = [f"The pooled bias of {number(bias)} mm² is {' and '.join(said)}."] if said else []
    margin = drift.rule.margin_pooled_mm2
    sentences += [
        f"{row.variant} alone moves the area by {number(row.mean_mm2)} mm² in the mean of {_cases(row)}, more than the "
        f"pooled margin of ±{number(margin)} mm²."
        for row in drift.floors.runner
        if abs(row.mean_mm2) > margin
    ]
    sentences += [
        f"Seed {row.seed} alone moves the pooled area by {number(row.bias_mm2)} mm² (n = {row.n}), more than the "
        f"pooled margin of ±{number(margin)} mm²."
        for row in drift.floors.seeds
        if abs(row.bias_mm2) > margin
    ]
    return " ".join(sentences)


def _cases(row: RunnerFloor) -> str:
    """Write how many cases of how many participants, and how many had no value."""
    of = f" of {row.participants} participant{'s' if row.participants > 1 else ''}" if row.participants else ""
    return f"{row.n} cases{of}" + (f" ({row.lost} lost)" if row.lost else "")


def failure_rows(drift: DriftRecord, csa: pd.DataFrame, failures: pd.DataFrame) -> list[dict[str, str]]:
    """Return the candidate's cases without a value: what is wrong, and what the prior of the headline measured there.

    Parameters
    ----------
    csa : columns version, CASE, csa_mm2, failed
    failures : columns version, CASE, failure, dice, centreline_mm
    """
    known = failures[failures["version"] == drift.candidate.bundle].set_index(CASE)
    failed_before = set(failures[failures["version"] == drift.against].set_index(CASE).index)
    cases = csa[(csa["version"] == drift.candidate.bundle) & csa["csa_mm2"].isna()]
    cases = cases.sort_values(["failed", *CASE], ascending=[False, *[True] * len(CASE)])
    before = csa[csa["version"] == drift.against].set_index(CASE)["csa_mm2"]
    rows = []
    for _, case in cases.iterrows():
        key = tuple(case[CASE])
        was = f"{number(before[key], 1)} mm²" if key in before.index and not pd.isna(before[key]) else DASH
        name = " ".join(part for part in (case["participant"], case["session"], case["contrast"]) if part)
        what = _failure(known.loc[[key]].iloc[0]) if key in known.index else "not covered"
        rows.append({"name": name, "what": what, "before": "failed too" if key in failed_before else was})
    return rows


def _failure(row: pd.Series[Any]) -> str:
    """Say why a case is a failure, such as ``off the cord (Dice 0.004, 21.3 mm away)``."""
    if row["failure"] != OFF_CORD:
        return "failed" if row["failure"] == "failed" else "empty mask"
    away = "" if pd.isna(row["centreline_mm"]) else f", {number(row['centreline_mm'], 1)} mm away"
    return f"off the cord (Dice {number(row['dice'], 3)}{away})"


def plus_minus(mean: object, sd: object) -> str:
    """Write ``mean ± SD``, the mean alone where one value has no SD; a dash where there is no mean."""
    return number(mean) + ("" if pd.isna(sd) else f" ± {number(sd)}")  # type: ignore[call-overload]


def case_rows(
    measures: pd.DataFrame, agreement: pd.DataFrame, range_name: str, order: Sequence[str]
) -> list[dict[str, str]]:
    """Return CSA of prediction and reference, difference and Dice of each case of a small table.

    A case is named by its contrast, and by its participant too where there are several.

    Parameters
    ----------
    measures, agreement : of the stage measure; ``agreement`` has the cases to show
    range_name : the monitored range
    order : of the contrasts
    """
    sources: tuple[Source, ...] = ("prediction", "reference")
    ranges = {source: monitored_rows(measures, range_name, source) for source in sources}
    rows = []
    rank = {contrast: place for place, contrast in enumerate(order)}
    agreement = agreement.assign(rank=agreement["contrast"].map(lambda name: rank.get(name, len(rank))))
    agreement = agreement.sort_values(["dataset", "participant", "session", "rank"], kind="stable")
    several = len(agreement["participant"].drop_duplicates()) > 1
    for _, case in agreement.iterrows():
        found = {name: table[(table[CASE] == case[CASE]).all(axis=1)] for name, table in ranges.items()}
        value = {name: float(row["csa_mm2"].iloc[0]) if len(row) else math.nan for name, row in found.items()}
        flags = sorted({flag for row in found.values() for text in row["flags"] for flag in text.split(";") if flag})
        flags += [flag for flag in str(case["flags"]).split(";") if flag and flag not in flags]
        rows.append(
            {
                "name": f"{case['participant']} {case['contrast']}" if several else str(case["contrast"]),
                "prediction": number(value["prediction"], 1),
                "reference": number(value["reference"], 1),
                "difference": number(value["prediction"] - value["reference"], 1),
                "dice": number(case["dice"], 3),
                "flags": ", ".join(flag.replace("_", " ") for flag in flags),
            }
        )
    return rows
