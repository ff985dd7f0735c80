"""The table that sct_process_segmentation writes, row by row: one for each mask, or for each level or slice of it.

Of its numbers only CSA, its SD and the length are used: other columns of that tool have the name of a column of ours,
but another meaning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import ReleaseError

NEEDED = ("SCT Version", "Filename", "Slice (I->S)", "VertLevel", "MEAN(area)", "STD(area)", "SUM(length)")
MOST_BYTES = 100 << 20


@dataclass(frozen=True)
class SctRow:
    """One row.

    Attributes
    ----------
    line : of the file, counted from 1
    mask : the file name of the mask, without its folders
    levels : first and last vertebra; None where none is named
    slices : first and last slice, from inferior to superior; None where none is named
    csa_mm2, csa_sd_mm2, length_mm : NaN where the row has no area
    """

    line: int
    mask: str
    levels: tuple[int, int] | None
    slices: tuple[int, int] | None
    csa_mm2: float
    csa_sd_mm2: float
    length_mm: float


@dataclass(frozen=True)
class SctTable:
    """The rows of a file, and the versions of the tool that wrote them."""

    rows: list[SctRow]
    versions: list[str]


def read_sct(path: Path) -> SctTable:
    """Read such a table.

    Raises
    ------
    ReleaseError
        The file is missing or is not such a table, or a value of a row is not valid.
    """
    table = read_text_table(path)
    lacking = [name for name in NEEDED if name not in table.columns]
    if lacking:
        raise ReleaseError(
            f"{path} has no column {', '.join(lacking)}; expected the table that sct_process_segmentation writes."
        )
    rows = [_row(f"{path}, line {line}", line, record) for line, record in enumerate(table.to_dict("records"), start=2)]
    return SctTable(rows, sorted(set(table["SCT Version"])))


def read_text_table(path: Path, rows: int | None = None) -> pd.DataFrame:
    """Read a CSV file as text, cell by cell; ``rows`` is how many of its rows, None for all.

    Raises
    ------
    ReleaseError
        The file is missing, too large, or not a table.
    """
    if not path.is_file():
        raise ReleaseError(f"{path} is not a file (looked in {path.parent.resolve()}).")
    if path.stat().st_size > MOST_BYTES:
        raise ReleaseError(f"{path} has {path.stat().st_size} bytes; at most {MOST_BYTES} are read.")
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, nrows=rows)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} is not a table of comma-separated values: {error}.") from error


def _row(where: str, line: int, record: Mapping[Hashable, Any]) -> SctRow:
    area, sd, length = (_number(where, record, name) for name in ("MEAN(area)", "STD(area)", "SUM(length)"))
    return SctRow(
        line=line,
        mask=re.split(r"[/\\]", str(record["Filename"]))[-1],
        levels=_ends(where, record, "VertLevel", "vertebra, such as 2:3"),
        slices=_ends(where, record, "Slice (I->S)", "slice, such as 121:155"),
        # The tool writes an area of 0 where the mask holds no cord: that is not an area.
        csa_mm2=area if area > 0 else math.nan,
        csa_sd_mm2=sd,
        length_mm=length,
    )


def _number(where: str, record: Mapping[Hashable, Any], column: str) -> float:
    text = str(record[column]).strip()
    if text in {"", "None", "nan", "NaN"}:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value) or value < 0:
        raise ReleaseError(f"{where}: {column} is {text!r}; expected a number from 0 on, or nothing.")
    return value


def _ends(where: str, record: Mapping[Hashable, Any], column: str, what: str) -> tuple[int, int] | None:
    """Return first and last of ``2:3`` or ``2``; None of an empty cell."""
    text = str(record[column]).strip()
    if text in {"", "None", "nan", "NaN"}:
        return None
    found = re.fullmatch(r"(\d{1,5})(?:\.0)?(?::(\d{1,5}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise ReleaseError(f"{where}: {column} is {text!r}; expected the first and the last {what}, in this order.")
    return first, last


def require_same_area(path: Path, first: SctRow, row: SctRow) -> None:
    """Refuse two rows of one mask that disagree; the tool appends to its table, so equal rows are no fault.

    Raises
    ------
    ReleaseError
        Both have an area and the areas differ, or only one has an area.
    """
    if first.csa_mm2 == row.csa_mm2 or (math.isnan(first.csa_mm2) and math.isnan(row.csa_mm2)):
        return
    raise ReleaseError(
        f"{path} has two areas for {row.mask}: {first.csa_mm2:g} mm2 in line {first.line} and {row.csa_mm2:g} mm2 in "
        f"line {row.line}; expected one. Remove the row that does not count."
    )
