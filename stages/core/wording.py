"""What the report says: sentences and rows from the comparison's record, ready for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from stages.core.figures import Shown

DASH = "–"


def number(value: object, digits: int = 2) -> str:
    """Write a number with a real minus sign; what is not defined as a dash."""
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return DASH
    text = f"{float(value):.{digits}f}"  # type: ignore[arg-type]
    return (text[1:] if text.startswith("-") and float(text) == 0 else text).replace("-", "−")


def short(digest: str) -> str:
    """First twelve digits of a digest."""
    return digest[:12]


def shown_versions(drift: dict[str, Any], label: str) -> list[Shown]:
    """How each version is called: its label, with digits of the digest where two labels are the same."""
    names = []
    for version in drift["versions"]:
        role = str(version["role"])
        fixed = {"reference": "ground truth", "candidate": label}.get(role) or str(version["label"])
        names.append(fixed or short(version["version"]))
    return [
        Shown(v["version"], f"{name} ({v['version'][:6]})" if names.count(name) > 1 else name, v["role"])
        for v, name in zip(drift["versions"], names, strict=True)
    ]


def label_of(shown: Sequence[Shown], version: str) -> str:
    """Label of one version."""
    return next(item.label for item in shown if item.version == version)


def extremes(drift: dict[str, Any]) -> str:
    """Say between which contrasts the bias ranges, which a pooled mean can hide; empty when there is no bias."""
    prior = next((record for record in drift["priors"] if record["digest"] == drift["against"]), None)
    found = prior["contrasts"] if prior else {}
    bias = {name: found[name]["bias_mm2"] for name in drift["contrasts"] if name in found}
    bias = {name: value for name, value in bias.items() if value is not None}
    if len(bias) < 2:
        return ""
    low, high = min(bias, key=lambda name: bias[name]), max(bias, key=lambda name: bias[name])
    return f"By contrast it ranges from {number(bias[low])} mm² ({low}) to {number(bias[high])} mm² ({high})."


def headline(drift: dict[str, Any], shown: Sequence[Shown]) -> tuple[str, str]:
    """Say in two sentences what moved: the difference, and where its interval lies against the margin."""
    new = label_of(shown, drift["candidate"]["bundle"])
    where, margin = drift["range"], number(drift["margin_mm2"])
    if drift["offline"]:
        return f"{new} was measured without its history.", "History was offline, so nothing can be said about drift."
    if drift["against"] is None:
        n = len(drift["priors"])
        if n == 0:
            return f"{new} is the first version of this series.", "There is no earlier version to compare it with."
        return (
            f"{new} cannot be compared with any of its {n} earlier version(s).",
            "Each was measured on other images or with another ruler; the reasons stand below.",
        )
    prior = next(record for record in drift["priors"] if record["digest"] == drift["against"])
    pooled, old = prior["pooled"], label_of(shown, prior["digest"])
    bias, level = pooled["bias_mm2"], number(100 * (1 - drift["alpha"]), 0)
    if bias is None:
        return (
            f"{new} and {old} have no participant in common with {drift['min_contrasts']} measured contrasts.",
            "Nothing can be said about drift.",
        )
    if abs(bias) < 0.005:
        moved = f"{new} measures the same cord area as {old} at {where} (mean difference {number(bias, 3)} mm²"
    else:
        way = "larger" if bias > 0 else "smaller"
        moved = f"{new} measures the cord {number(abs(bias))} mm² {way} than {old} at {where} ("
        moved += f"{number(pooled['bias_percent'], 1)} %"
    low, high = pooled["ci_low_mm2"], pooled["ci_high_mm2"]
    if low is None:
        return f"{moved}; n = {pooled['n']}).", "One participant gives no interval."
    first = f"{moved}; {level} % interval {number(low)} to {number(high)} mm²; n = {pooled['n']} participants)."
    return first, _position(low, high, drift["margin_mm2"], margin)


def _position(low: float, high: float, margin_mm2: float, margin: str) -> str:
    if -margin_mm2 < low and high < margin_mm2:
        return f"The whole interval lies inside the margin of ±{margin} mm² that was fixed beforehand."
    if low > margin_mm2 or high < -margin_mm2:
        return f"The whole interval lies outside the margin of ±{margin} mm² that was fixed beforehand."
    return (
        f"The interval reaches beyond the margin of ±{margin} mm² that was fixed beforehand: "
        "the area cannot be said to have stayed inside it."
    )


def smallest_margin(drift: dict[str, Any]) -> str:
    """Say which margin would have been passed; empty where nothing was judged."""
    needed = drift["verdict"]["smallest_margin_mm2"]
    if needed is None:
        return ""
    return (
        f"The smallest margin that every row would have passed is {number(needed)} mm²; the margin that was fixed "
        f"beforehand is {number(drift['margin_mm2'])} mm²."
    )


def version_rows(drift: dict[str, Any], shown: Sequence[Shown]) -> list[dict[str, str]]:
    """Rows of the headline table, ground truth first."""
    rows = []
    for version in drift["versions"]:
        spread = f"{number(version['csa_std_mean_mm2'])} ± {number(version['csa_std_sd_mm2'])}"
        row = {"label": label_of(shown, version["version"]), "role": version["role"]}
        row |= {"csa_std": spread if version["n"] else DASH, "n": f"{version['n']} of {version['participants']}"}
        is_reference = version["role"] == "reference"
        row["dice"] = DASH if is_reference else number(version["dice_mean"], 3)
        row["dice_min"] = DASH if is_reference else number(version["dice_min"], 3)
        row["rve"] = DASH if is_reference else number(version["rve_percent"], 1)
        row["assd"] = DASH if is_reference else number(version["assd_mm"])
        row["hd95"] = DASH if is_reference else number(version["hd95_mm"])
        row["csa_error"] = DASH if is_reference else number(version["csa_error_mm2"])
        row["failed"] = f"{version['failed']} of {version['cases']}"
        row["unmeasured"] = str(version["unmeasured"])
        rows.append(row)
    return rows


def bias_rows(drift: dict[str, Any], digest: str) -> list[dict[str, str]]:
    """Rows of the bias table of one prior: its contrasts, then pooled."""
    prior = next(record for record in drift["priors"] if record["digest"] == digest)
    rows = []
    for name in [*drift["contrasts"], "pooled"]:
        bias = prior["pooled"] if name == "pooled" else prior["contrasts"][name]
        interval = DASH
        if bias["ci_low_mm2"] is not None:
            interval = f"{number(bias['ci_low_mm2'])} to {number(bias['ci_high_mm2'])}"
        row = {"contrast": name, "n": str(bias["n"]), "dropped": str(bias["dropped"]), "interval": interval}
        rows.append(row | {"bias": number(bias["bias_mm2"]), "percent": number(bias["bias_percent"], 1)})
    return rows


def concordance_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the table of agreement with one prior, as compare wrote it."""

    def interval(row: pd.Series[float], low: str, high: str, digits: int) -> str:
        return DASH if pd.isna(row[low]) else f"{number(row[low], digits)} to {number(row[high], digits)}"

    return [
        {
            "contrast": str(row["contrast"]),
            "n": str(int(row["n"])),
            "limits": interval(row, "limit_lower_mm2", "limit_upper_mm2", 2),
            "slope": number(row["slope"], 3),
            "slope_interval": interval(row, "slope_low", "slope_high", 3),
            "ccc": number(row["ccc"], 3),
            "ccc_interval": interval(row, "ccc_low", "ccc_high", 3),
            "icc": number(row["icc"], 3),
            "p": "< 0.001" if row["holm_p"] < 0.001 else number(row["holm_p"], 3),
        }
        for _, row in table.iterrows()
    ]


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


def worst_participant(agreement: pd.DataFrame, csa_std: pd.DataFrame) -> tuple[str, str, str, str] | None:
    """Return (dataset, participant, session, why) of the one to look at: failures, else Dice, else CSA STD.

    None when there is nobody.
    """
    person = ["dataset", "participant", "session"]
    if agreement.empty:
        return None
    people = agreement.assign(failed=agreement["flags"].str.split(";").map(lambda flags: "failed" in flags))
    people = people.groupby(person, as_index=False).agg(failed=("failed", "sum"), dice=("dice", "mean"))
    people = people.merge(csa_std[[*person, "csa_std_mm2"]], on=person, how="left")
    if people["failed"].max() > 0:
        place, why = int(people["failed"].argmax()), f"{people['failed'].max()} failed contrast(s)"
    elif people["dice"].notna().any():
        place, why = int(people["dice"].argmin()), f"the lowest mean Dice, {number(people['dice'].min(), 3)}"
    elif people["csa_std_mm2"].notna().any():
        place = int(people["csa_std_mm2"].argmax())
        why = f"the largest CSA STD, {number(people['csa_std_mm2'].max())} mm²"
    else:
        place, why = 0, "no reference and no CSA STD to rank by"
    row = people.iloc[place]
    return str(row["dataset"]), str(row["participant"]), str(row["session"]), why
