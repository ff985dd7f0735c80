"""CSA tables that earlier releases published, made with another ruler (sct_process_segmentation), as measures of ours.

One file per release, one row per mask; the last part of ``Filename`` says whose mask it is and what was measured:
``sub-X_T1w_softseg_bin.nii.gz`` is the reference, ``sub-X_T1w_seg_v3.0.nii.gz`` the prediction of version v3.0.
Only CSA, its SD, the length and the slices are taken over: other columns of that tool share a name with ours and not
the meaning. The file itself is kept with the version.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import CordriftError, did_you_mean
from ...base.files import digest_of, sha256_of
from ...tables.columns import AGREEMENT_COLUMNS
from ..morphometry.levels import range_name
from ..morphometry.table import as_table

NEEDED = ("SCT Version", "Filename", "Slice (I->S)", "VertLevel", "MEAN(area)", "STD(area)", "SUM(length)")
CONTRASTS = ("T1w", "T2w", "T2star", "MTon", "MToff", "DWI")
NAME = re.compile(
    r"(?P<participant>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?"
    rf"_(?P<contrast>{'|'.join(CONTRASTS)})_(?:(?P<reference>softseg_bin)|seg_(?P<tag>.+))\.nii(?:\.gz)?"
)
#: What stands where inference settings would: nobody recorded them.
INFERENCE = "imported"
#: Flags of a case without a value: its row is there and empty, or there is no row of it.
EMPTY, MISSING = "empty_in_release", "not_in_release"
MOST_BYTES = 100 << 20


@dataclass(frozen=True)
class Imported:
    """A release as a version of ours.

    Attributes
    ----------
    digest : SHA-256 over label and file: what names this version, for there is no bundle
    repeated : rows that stood more than once, and counted once
    empty, missing : predictions whose row holds no area, and that have no row though their reference has one
    """

    label: str
    digest: str
    ruler: str
    range: str
    measures: pd.DataFrame
    agreement: pd.DataFrame
    repeated: int
    empty: int
    missing: int

    @property
    def cases(self) -> int:
        """Number of predictions that are or ought to be there."""
        return len(self.agreement)

    def summary(self) -> dict[str, Any]:
        """As the stage measure writes it; ``frozen`` is not known."""
        series = {"bundle": self.digest, "inference": INFERENCE, "ruler": self.ruler, "frozen": ""}
        return {**series, "range": self.range, "cases": self.cases, "failed": 0}


@dataclass(frozen=True)
class _Row:
    key: tuple[str, str, str]
    tag: str  # "" for the reference
    line: int
    csa_mm2: float
    csa_sd_mm2: float
    length_mm: float
    slices: int | None
    mask: str


def read_release(path: Path, label: str, dataset: str) -> Imported:
    """Read the table of a release.

    Parameters
    ----------
    label : the release's version, whose rows are taken: ``v3.0`` takes ``..._seg_v3.0.nii.gz``
    dataset : name that the participants' dataset has here

    Raises
    ------
    CordriftError
        No such file or no such table; a row that is none; two values for one mask; no row of the version.
    """
    table = _read(path)
    rows = [_row(path, line, record) for line, record in enumerate(table.to_dict("records"), start=2)]
    tags = sorted({row.tag for row in rows if row.tag})
    if label not in tags:
        raise CordriftError(
            f"{path} has no prediction of {label!r}{did_you_mean(label, tags)}; it has those of "
            f"{', '.join(tags) or 'none'} (from the file names, as in sub-X_T1w_seg_{label}.nii.gz)."
        )
    mine, repeated_mine = _once(path, (row for row in rows if row.tag == label))
    references, repeated = _once(path, (row for row in rows if not row.tag))
    levels = sorted({str(value).strip() for value in table["VertLevel"]} - {""})
    if len(levels) != 1:
        raise CordriftError(f"{path} has rows of VertLevel {', '.join(levels) or 'none'}; expected one, such as 2:3.")
    name = _range(path, levels[0])
    digest = digest_of({"release": label, "file": sha256_of(path)})
    ruler = digest_of({"ruler": "sct_process_segmentation", "versions": sorted(set(table["SCT Version"]))})
    measured, agreement, missing = [], [], 0
    common = {"scope": "range", "levels": name, "kind": "binary", "ruler": ruler, "dataset": dataset}
    for key in sorted({*mine, *references}):
        case = common | dict(zip(("participant", "session", "contrast"), key, strict=True))
        reference, found = references.get(key), mine.get(key)
        missing += found is None
        flags = MISSING if found is None else EMPTY if math.isnan(found.csa_mm2) else ""
        prediction = case | {"source": "prediction", "bundle": digest, "inference": INFERENCE, "flags": flags}
        measured.append(prediction | _values(found))
        if reference is not None:
            measured.append(case | {"source": "reference"} | _values(reference))
        csa = [row.csa_mm2 if row else math.nan for row in (found, reference)]
        identity = {column: prediction[column] for column in ("dataset", "participant", "session", "contrast")}
        agreement.append({**identity, "bundle": digest, "inference": INFERENCE, "csa_error_mm2": abs(csa[0] - csa[1])})
    pairs = pd.DataFrame(agreement).reindex(columns=list(AGREEMENT_COLUMNS)).fillna({"flags": ""})
    empty = sum(math.isnan(row.csa_mm2) for row in mine.values())
    return Imported(
        label, digest, ruler, name, as_table(measured), pairs, repeated + repeated_mine, empty, missing
    )  # fmt: skip


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise CordriftError(f"{path} is not a file (looked in {path.parent.resolve()}).")
    if path.stat().st_size > MOST_BYTES:
        raise CordriftError(f"{path} has {path.stat().st_size} bytes; at most {MOST_BYTES} are read.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CordriftError(f"{path} is not a table of comma-separated values: {error}.") from error
    lacking = [name for name in NEEDED if name not in table.columns]
    if lacking:
        raise CordriftError(
            f"{path} has no column {', '.join(lacking)}; expected the table that sct_process_segmentation writes."
        )
    return table


def _row(path: Path, line: int, record: dict[Any, Any]) -> _Row:
    where = f"{path}, line {line}"
    file = re.split(r"[/\\]", str(record["Filename"]))[-1]
    found = NAME.fullmatch(file)
    if found is None:
        raise CordriftError(
            f"{where}: Filename ends in {file!r}; expected sub-X_CONTRAST_softseg_bin.nii.gz (reference) or "
            f"sub-X_CONTRAST_seg_VERSION.nii.gz (prediction), CONTRAST one of {', '.join(CONTRASTS)}."
        )
    key = found["participant"], found["session"] or "", found["contrast"]
    area, sd, length = (_number(where, record, name) for name in ("MEAN(area)", "STD(area)", "SUM(length)"))
    # An area of 0 is a mask without cord there, and no area.
    area = area if area > 0 else math.nan
    slices = re.fullmatch(r"\s*(\d+):(\d+)\s*", str(record["Slice (I->S)"]))
    count = int(slices[2]) - int(slices[1]) + 1 if slices else None
    return _Row(key, found["tag"] or "", line, area, sd, length, count, file)


def _number(where: str, record: dict[Any, Any], column: str) -> float:
    text = str(record[column]).strip()
    if text in {"", "None", "nan", "NaN"}:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value) or value < 0:
        raise CordriftError(f"{where}: {column} is {text!r}; expected a number from 0 on, or nothing.")
    return value


def _once(path: Path, rows: Iterable[_Row]) -> tuple[dict[tuple[str, str, str], _Row], int]:
    """Rows by case, and how many stood there again; the tool appends, so a row may be there twice with one value."""
    found: dict[tuple[str, str, str], _Row] = {}
    repeated = 0
    for row in rows:
        first = found.setdefault(row.key, row)
        repeated += first is not row
        same = first.csa_mm2 == row.csa_mm2 or (math.isnan(first.csa_mm2) and math.isnan(row.csa_mm2))
        if not same:
            raise CordriftError(
                f"{path} has two areas for {row.mask}: {first.csa_mm2:g} mm2 in line {first.line} and {row.csa_mm2:g} "
                f"mm2 in line {row.line}; expected one. Remove the row that does not count."
            )
    return found, repeated


def _range(path: Path, text: str) -> str:
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= 25:
        raise CordriftError(f"{path} has the VertLevel {text!r}; expected first and last vertebra, such as 2:3.")
    return range_name(list(range(int(found[1]), int(found[2]) + 1)))


def _values(row: _Row | None) -> dict[str, Any]:
    if row is None:
        return {}
    values = {"mask": row.mask, "csa_mm2": row.csa_mm2, "csa_sd_mm2": row.csa_sd_mm2, "length_mm": row.length_mm}
    return {**values, "n_slices": row.slices}
