"""Any table of measures, read as one version: measures.csv, the output of `cordrift measure MASK`, or that of SCT.

SCT's table may have a row for each mask, each level or each slice, in one file or in a folder of files (one for each
participant, as the normative PAM50 tables are published).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ...base.errors import ReleaseError
from ...base.files import digest_of, read_csv, sha256_of
from ...tables.columns import AGREEMENT_COLUMNS, MEASURES_TEXT
from ...tables.monitored import CASE, Kind
from ...tables.names import file_name
from ..morphometry.levels import parse_range
from ..morphometry.table import as_table
from .sct_table import NEEDED, SctRow, read_sct, read_text_table, require_same_area

Layout = Literal["cordrift", "sct_process_segmentation"]
OURS: Layout = "cordrift"
SCT: Layout = "sct_process_segmentation"
#: Columns by which one of our tables is known.
OWN_COLUMNS = ("scope", "mask", "csa_mm2", "levels")
REFERENCE = "softseg_bin"
#: A mean over less than this part of a range is no mean of it.
LEAST_COVERED = 0.5
#: An area (mm2) outside is no measurement of a cord; a median outside is in another unit.
PLAUSIBLE_MM2 = (10.0, 300.0)
Key = tuple[str, str, str]


@dataclass(frozen=True)
class AnyTable:
    """One version, as a table says it.

    Attributes
    ----------
    name : of the file or folder
    digest : SHA-256 over its files
    layout : which program wrote it
    rulers : versions of that program, or ids of our ruler
    measures, agreement : with the columns of measures.csv and agreement.csv; a table without references has no CSA
        error, and none has Dice
    repeated : rows that repeat an earlier one; they count once
    implausible : areas at the range that are no measurement of a cord; they are NaN and flagged
    """

    name: str
    digest: str
    layout: Layout
    rulers: tuple[str, ...]
    measures: pd.DataFrame
    agreement: pd.DataFrame
    repeated: int
    implausible: int


def read_any(path: Path, levels: str, kind: Kind, masks: str = "") -> AnyTable:
    """Read a table of measures.

    Parameters
    ----------
    path : a CSV file, or a folder with CSV files that together are one table
    levels : the range of vertebrae that is compared, such as C2-C3
    kind : of the masks whose areas are compared, where the table knows it
    masks : part of the file names of the masks that count, where the table has several masks of one image

    Raises
    ------
    ReleaseError
        A file is missing or of no known layout, has no row of the range, has several masks of one image, disagrees with
        itself, or its areas are not in mm2.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise ReleaseError(f"{path} is a folder without a .csv file; expected the tables of one version.")
    layouts = {_layout(file) for file in files}
    if len(layouts) > 1:
        raise ReleaseError(f"{path} holds tables of {' and of '.join(sorted(layouts))}; expected one kind.")
    layout = layouts.pop()
    if layout == OURS:
        measures, rulers, repeated = _ours(files, levels, kind, masks)
    else:
        measures, rulers, repeated = _sct(files, levels, kind, masks)
    _require_mm2(path, measures)
    measures, implausible = _plausible(measures)
    digest = digest_of([sha256_of(file) for file in files])
    return AnyTable(path.name, digest, layout, rulers, measures, _agreement(measures), repeated, implausible)


def _layout(path: Path) -> Layout:
    columns = set(read_text_table(path, rows=0).columns)
    if set(OWN_COLUMNS) <= columns:
        return OURS
    if set(NEEDED) <= columns:
        return SCT
    raise ReleaseError(
        f"{path} has the columns {', '.join(sorted(columns)[:8])}; expected the table that `cordrift measure` writes "
        f"({', '.join(OWN_COLUMNS)}, ...) or that of sct_process_segmentation ({', '.join(NEEDED)})."
    )


# Our tables ----------------------------------------------------------------------------------------------------------


def _ours(files: Sequence[Path], levels: str, kind: Kind, masks: str) -> tuple[pd.DataFrame, tuple[str, ...], int]:
    table = pd.concat([read_csv(file, text=MEASURES_TEXT, error=ReleaseError) for file in files], ignore_index=True)
    absent = [name for name in MEASURES_TEXT if name not in table]
    table = table.assign(**dict.fromkeys(absent, ""))
    where = files[0] if len(files) == 1 else files[0].parent
    if masks:
        table = table[table["mask"].str.contains(masks, regex=False) | (table["source"] == "reference")]
    blank = table["participant"] == ""
    if blank.any():
        named = {mask: _name(where, mask) for mask in table.loc[blank, "mask"].unique()}
        _require_one_mask(where, dict(named.values()), named.values())
        keys = [named[mask][0] for mask in table.loc[blank, "mask"]]
        table.loc[blank, ["participant", "session", "contrast"]] = keys
    table["source"] = table["source"].where(table["source"] != "", "prediction")
    table["kind"] = table["kind"].where(~blank, kind)
    if len(set(table["dataset"])) == 1:
        table["dataset"] = ""  # the other table may name it otherwise, or not at all
    if not ((table["scope"] == "range") & (table["levels"] == levels)).any():
        held = sorted(set(table.loc[table["scope"] == "range", "levels"])) or ["none"]
        raise ReleaseError(f"{where} has no row of the range {levels}; its ranges are {', '.join(held)}.")
    bundles = sorted(set(table.loc[table["source"] == "prediction", "bundle"]))
    if len(bundles) > 1:
        raise ReleaseError(f"{where} holds masks of {len(bundles)} bundles; expected those of one version.")
    whole = table.drop(columns="schema")
    once = whole.drop_duplicates()
    return once.reset_index(drop=True), tuple(sorted(set(table["ruler"]))), len(whole) - len(once)


# Tables of SCT -------------------------------------------------------------------------------------------------------


def _sct(files: Sequence[Path], levels: str, kind: Kind, masks: str) -> tuple[pd.DataFrame, tuple[str, ...], int]:
    wanted = parse_range(levels)
    where = files[0] if len(files) == 1 else files[0].parent
    versions: set[str] = set()
    by_mask: dict[tuple[Key, str], list[tuple[Path, SctRow]]] = {}
    for file in files:
        table = read_sct(file)
        versions |= set(table.versions)
        for row in table.rows:
            key, what = _name(file, row.mask)
            if what == REFERENCE or masks in row.mask:
                by_mask.setdefault((key, what), []).append((file, row))
    if not by_mask:
        raise ReleaseError(f"{where} has no mask whose file name contains {masks!r}.")
    found = [(key, what) for key, what in by_mask if what != REFERENCE]
    _require_one_mask(where, dict(found), found)
    rows: list[dict[str, Any]] = []
    repeated = 0
    for (key, what), of_mask in sorted(by_mask.items(), key=lambda item: item[0]):
        once, again = _once(of_mask)
        repeated += again
        source = "reference" if what == REFERENCE else "prediction"
        identity = dict(zip(("participant", "session", "contrast"), key, strict=True)) | {"source": source}
        rows += [
            identity | {"dataset": "", "kind": kind, "mask": once[0].mask, "levels": levels} | row
            for row in _range_rows(where, once, wanted)
        ]
    if all(math.isnan(row["csa_mm2"]) for row in rows):
        held = sorted({row.levels for pairs in by_mask.values() for _, row in pairs if row.levels})
        named = ", ".join(f"{first}:{last}" for first, last in held[:8]) or "none"
        raise ReleaseError(f"{where} has no area at {levels} in any mask; its VertLevels are {named}.")
    return as_table(rows), tuple(sorted(versions)), repeated


def _once(rows: Iterable[tuple[Path, SctRow]]) -> tuple[list[SctRow], int]:
    """Return the rows of a mask without those that repeat an earlier one, and the number of these."""
    found: dict[tuple[Any, Any], SctRow] = {}
    repeated = 0
    for path, row in rows:
        place = row.levels, row.slices
        first = found.setdefault(place, row)
        repeated += first is not row
        require_same_area(path, first, row)
    return list(found.values()), repeated


def _range_rows(path: Path, rows: Sequence[SctRow], wanted: list[int]) -> Iterable[dict[str, Any]]:
    """Return the row of the range of one mask, and the rows of its slices where the table has them.

    The mean is over slices, as the tool's own mean of a range: a row of several slices counts as often as it has them.
    """
    inside = [row for row in rows if row.levels and wanted[0] <= row.levels[0] <= row.levels[1] <= wanted[-1]]
    across = [
        row for row in rows if row.levels and row.levels[0] <= wanted[-1] and row.levels[1] >= wanted[0]
        and row not in inside
    ]  # fmt: skip
    if across:
        first, last = across[0].levels or (0, 0)
        raise ReleaseError(
            f"{path}, line {across[0].line}: {across[0].mask} was measured over VertLevel {first}:{last}, which is "
            f"more than the range {wanted[0]}:{wanted[-1]} that is compared; name that range with --levels."
        )
    whole = [row for row in inside if row.levels == (wanted[0], wanted[-1])]
    inside = whole or inside
    sizes = {id(row): row.slices[1] - row.slices[0] + 1 if row.slices else 1 for row in inside}
    measured = [row for row in inside if not math.isnan(row.csa_mm2)]
    covered = sum(sizes[id(row)] for row in measured)
    total = sum(sizes.values())
    levels = {level for row in measured if row.levels for level in range(row.levels[0], row.levels[1] + 1)}
    enough = levels >= set(wanted) and covered / total >= LEAST_COVERED if total else False
    mean = sum(row.csa_mm2 * sizes[id(row)] for row in measured) / covered if enough else math.nan
    coverage = covered / total if total and not whole else math.nan
    flags = "" if enough else "level_not_covered" if levels else "empty_in_table"
    yield {"scope": "range", "csa_mm2": mean, "coverage": coverage, "n_slices": covered, "flags": flags}
    if any(row.slices is None or row.slices[0] != row.slices[1] for row in inside):
        return
    for row in measured:
        place = {"scope": "slice", "slice": row.slices[0] if row.slices else None, "range_share": 1.0 / total}
        yield place | {"level": row.levels[0] if row.levels else None, "csa_mm2": row.csa_mm2, "flags": ""}


# Both ----------------------------------------------------------------------------------------------------------------


def _name(path: Path, mask: str) -> tuple[Key, str]:
    name = re.split(r"[/\\]", mask)[-1]
    found = file_name(name)
    if found is None or not found.mask:
        raise ReleaseError(
            f"{path} names the mask {name!r}; expected a name such as sub-01_T2w_seg.nii.gz or "
            "sub-01_ses-02_acq-ax_T2w_label-SC_seg.nii.gz, by which the two tables are set side by side."
        )
    return (found.participant, found.session, found.contrast), found.mask


def _require_one_mask(path: Path, one: dict[Key, str], every: Iterable[tuple[Key, str]]) -> None:
    """Refuse a table with several masks of one image; ``one`` names one mask of each image."""
    for key, what in every:
        if one[key] != what:
            image = "_".join(filter(None, key))
            raise ReleaseError(
                f"{path} has two masks of {image}: {what} and {one[key]}; say which counts with --old-masks or "
                "--new-masks and a part of its file name."
            )


def _require_mm2(path: Path, measures: pd.DataFrame) -> None:
    median = float(measures.loc[measures["scope"] == "range", "csa_mm2"].median())
    if not math.isnan(median) and not PLAUSIBLE_MM2[0] <= median <= PLAUSIBLE_MM2[1]:
        raise ReleaseError(f"{path} has a median area of {median:g}; a cord has about 80 mm2, expected areas in mm2.")


def _plausible(measures: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the table without areas that no cord has, such as that of a crumb, and how many there were at the range.

    Their cases keep their rows, so that they count as missing. Their slices are dropped.
    """
    low, high = PLAUSIBLE_MM2
    area = measures["csa_mm2"].astype(float)
    at_range = (measures["scope"] == "range") & area.notna() & ~area.between(low, high)
    out = measures.copy()
    out.loc[at_range, "csa_mm2"] = math.nan
    out.loc[at_range, "flags"] = [f"{text};implausible".strip(";") for text in measures.loc[at_range, "flags"]]
    cases = pd.MultiIndex.from_frame(measures[[*CASE, "source"]])
    dropped = (measures["scope"] == "slice") & cases.isin(cases[at_range])
    return out[~dropped].reset_index(drop=True), int(at_range.sum())


def _agreement(measures: pd.DataFrame) -> pd.DataFrame:
    """Return agreement.csv: the CSA error of each prediction whose reference is in the table too."""
    rows = measures[measures["scope"] == "range"]
    sides = [rows[rows["source"] == source][[*CASE, "csa_mm2"]] for source in ("prediction", "reference")]
    both = sides[0].merge(sides[1].drop_duplicates(CASE), on=CASE, how="left", suffixes=("", "_reference"))
    error = (both["csa_mm2"] - both["csa_mm2_reference"]).abs()
    table = both[CASE].assign(csa_error_mm2=error).reindex(columns=list(AGREEMENT_COLUMNS))
    return table.fillna({"flags": "", "bundle": "", "inference": ""})
