"""Rows of the report's tables, as text: what is not defined is a dash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...tables.monitored import CASE
from .wording import DASH, Shown, label_of, number, short

#: Columns of subgroups.csv that speak of one version, and not of a difference.
COUNTED = ["participants", "n_csa_std", "csa_std_mean_mm2", "csa_std_sd_mm2"]


def version_rows(drift: dict[str, Any], shown: Sequence[Shown]) -> list[dict[str, str]]:
    """Rows of the headline table, ground truth first."""
    rows = []
    for version in drift["versions"]:
        row = {"label": label_of(shown, version["version"]), "role": version["role"]}
        spread = plus_minus(version["csa_std_mean_mm2"], version["csa_std_sd_mm2"])
        row |= {"csa_std": spread, "n": f"{version['n']} of {version['participants']}"}
        is_reference = version["role"] == "reference"
        row["dice"] = DASH if is_reference else _two(version["dice_mean"], version["dice_min"], 3)
        row["rve"] = DASH if is_reference else number(version["rve_percent"], 1)
        row["surfaces"] = DASH if is_reference else _two(version["assd_mm"], version["hd95_mm"], 2)
        row["csa_error"] = DASH if is_reference else number(version["csa_error_mm2"])
        row["failed"] = f"{version['failed']} of {version['cases']}"
        row["unmeasured"] = str(version["unmeasured"])
        rows.append(row)
    return rows


def _two(first: object, second: object, digits: int) -> str:
    """Write two numbers that belong together; one dash where neither is defined."""
    both = [number(first, digits), number(second, digits)]
    return DASH if both == [DASH, DASH] else ", ".join(both)


def bias_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the bias table of one prior: its contrasts, then pooled."""
    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "dropped": str(int(row["dropped"])),
            "interval": interval(row, "ci_low_mm2", "ci_high_mm2"),
            "bias": number(row["bias_mm2"]),
            "percent": number(row["bias_percent"], 1),
            "months": number(row["atrophy_months"], 1),
        }
        for _, row in table.iterrows()
    ]


def concordance_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the table of agreement with one prior, as compare wrote it."""

    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "limits": interval(row, "limit_lower_mm2", "limit_upper_mm2"),
            "slope": number(row["slope"], 3),
            "slope_interval": interval(row, "slope_low", "slope_high", 3),
            "ccc": number(row["ccc"], 3),
            "ccc_interval": interval(row, "ccc_low", "ccc_high", 3),
            "icc": number(row["icc"], 3),
            "p": "< 0.001" if row["holm_p"] < 0.001 else number(row["holm_p"], 3),
        }
        for _, row in table.iterrows()
    ]


def conversion_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the factors of one metric from one prior to the candidate."""
    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "factor": number(row["factor"], 4),
            "interval": interval(row, "ci_low", "ci_high", 4),
            "ratio_of_means": number(row["ratio_of_means"], 4),
            "slice_sd": number(row["slice_sd"], 4),
            "trend": number(row["slice_trend_per_cm"], 4),
            "trend_interval": interval(row, "slice_trend_low", "slice_trend_high", 4),
            "slice_n": str(int(row["slice_n"])),
        }
        for _, row in table.iterrows()
    ]


def subgroup_rows(mine: pd.DataFrame, theirs: pd.DataFrame | None) -> list[dict[str, str]]:
    """Rows of the groups: CSA STD of the candidate, and its bias to one prior (``theirs``) where there is one."""
    key = ["attribute", "group"]
    both = mine if theirs is None else mine[[*key, *COUNTED]].merge(theirs.drop(columns=COUNTED), on=key, how="left")
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
                "interval": interval(row, "ci_low_mm2", "ci_high_mm2"),
                "n": str(n),
            }
        )
    return rows


def prior_rows(drift: dict[str, Any], shown: Sequence[Shown]) -> list[dict[str, str]]:
    """Rows of the earlier versions: pooled bias, and whether they judge."""
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
        how = "yes" if prior["comparable"] else "shown, judges nothing" if prior["pooled"] else "no"
        why = f"{how}. {prior['why']}" if prior["why"] else how
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


def floor_rows(drift: dict[str, Any]) -> dict[str, Any]:
    """Rows of both floors, and the bias of the headline in units of them (``said``; empty where it cannot be)."""
    runner = [
        {
            "variant": str(row["variant"]),
            "n": f"{row['n']} ({row['lost']} lost)" if row["lost"] else str(row["n"]),
            "mean": number(row["mean_mm2"], 3),
            "mean_abs": number(row["mean_abs_mm2"], 3),
            "worst": number(row["worst_mm2"], 3),
        }
        for row in drift["floors"]["runner"]
    ]
    seeds = [
        {
            "seed": str(row["seed"]),
            "n": str(row["n"]),
            "bias": number(row["bias_mm2"]),
            "csa_std": number(row["csa_std_difference_mm2"]),
        }
        for row in drift["floors"]["seeds"]
    ]
    return {"runner": runner, "seeds": seeds, "said": in_floors(drift)}


def in_floors(drift: dict[str, Any]) -> str:
    """Say how many times the floors the bias of the headline is."""
    prior = next((record for record in drift["priors"] if record["digest"] == drift["against"]), None)
    bias = prior["pooled"]["bias_mm2"] if prior else None
    if bias is None:
        return ""
    said = []
    for name, key, rows in (
        ("the runner's largest mean change", "mean_mm2", drift["floors"]["runner"]),
        ("what another seed moves", "bias_mm2", drift["floors"]["seeds"]),
    ):
        floor = max((abs(row[key]) for row in rows if row[key] is not None), default=None)
        if floor:
            said.append(f"{number(abs(bias) / floor, 1)} times {name} ({number(floor, 3)} mm²)")
        elif floor == 0.0:
            said.append(f"{'beyond' if bias else 'no more than'} {name}, which is 0")
    return f"The pooled bias of {number(bias)} mm² is {' and '.join(said)}." if said else ""


def failure_rows(drift: dict[str, Any], csa: pd.DataFrame) -> list[dict[str, str]]:
    """Cases of the candidate without a value: what is wrong, and what the version of the headline measured there."""
    mine = csa[csa["version"] == drift["candidate"]["bundle"]]
    mine = mine[mine["csa_mm2"].isna()].sort_values(["failed", *CASE], ascending=[False, *[True] * len(CASE)])
    before = csa[csa["version"] == drift["against"]].set_index(CASE)["csa_mm2"]
    rows = []
    for _, case in mine.iterrows():
        key = tuple(case[CASE])
        was = f"{number(before[key], 1)} mm²" if key in before.index and not pd.isna(before[key]) else DASH
        name = " ".join(part for part in (case["participant"], case["session"], case["contrast"]) if part)
        rows.append({"name": name, "what": "failed" if case["failed"] else "not covered", "before": was})
    return rows


def plus_minus(mean: object, sd: object) -> str:
    """Write ``mean ± SD``, the mean alone where one value has no SD; a dash where there is no mean."""
    return number(mean) + ("" if pd.isna(sd) else f" ± {number(sd)}")  # type: ignore[call-overload]


def case_rows(
    measures: pd.DataFrame, agreement: pd.DataFrame, range_name: str, order: Sequence[str]
) -> list[dict[str, str]]:
    """CSA of prediction and reference, difference and Dice of each case of a small table.

    A case is named by its contrast, and by its participant too where there are several; contrasts in ``order``.
    """
    ranges = measures[
        (measures["scope"] == "range") & (measures["levels"] == range_name) & (measures["kind"] == "binary")
    ]
    rows = []
    rank = {contrast: place for place, contrast in enumerate(order)}
    agreement = agreement.assign(rank=agreement["contrast"].map(lambda name: rank.get(name, len(rank))))
    agreement = agreement.sort_values(["dataset", "participant", "session", "rank"], kind="stable")
    several = len(agreement["participant"].drop_duplicates()) > 1
    for _, case in agreement.iterrows():
        mine = ranges[
            (ranges["dataset"] == case["dataset"])
            & (ranges["participant"] == case["participant"])
            & (ranges["session"] == case["session"])
            & (ranges["contrast"] == case["contrast"])
        ]
        csa = {source: mine.loc[mine["source"] == source, "csa_mm2"] for source in ("prediction", "reference")}
        value = {source: float(found.iloc[0]) if len(found) else float("nan") for source, found in csa.items()}
        flags = sorted({flag for text in mine["flags"] for flag in text.split(";") if flag})
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


def interval(row: pd.Series[Any], low: str, high: str, digits: int = 2) -> str:
    """Write ``low to high``; a dash where it is not defined."""
    return DASH if pd.isna(row[low]) else f"{number(row[low], digits)} to {number(row[high], digits)}"
