"""CSA tables that earlier releases published, read into the tables of cordrift.

Another ruler (sct_process_segmentation) made them: one file per release, one row per mask. The last part of
``Filename`` names the participant and the mask: ``sub-X_T1w_softseg_bin.nii.gz`` is the reference and
``sub-X_T1w_seg_v3.0.nii.gz`` the prediction of version v3.0. Only CSA, its SD, the length and the slices are used:
other columns of that tool have the name of a column of ours, but another meaning. The file itself is kept with the
version.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import ReleaseError, did_you_mean
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
#: Stands in the place of the digest of the inference settings, which nobody recorded.
INFERENCE = "imported"
#: Flags of a case without a value: its row has no area, or the table has no row for it.
EMPTY, MISSING = "empty_in_release", "not_in_release"
MOST_BYTES = 100 << 20


@dataclass(frozen=True)
class Imported:
    """A release that was read from its published table.

    Attributes
    ----------
    label : version of the release, such as v3.0
    digest : SHA-256 over label and file; it names this version, because there is no bundle
    ruler : digest of the tool and its versions
    range : name of the range of vertebrae, such as C2-C3
    measures, agreement : tables with the columns of measures.csv and agreement.csv
    repeated : number of rows that repeat an earlier row; they count once
    empty : number of predictions whose row holds no area
    missing : number of cases that have a reference but no row for the prediction
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
        """Number of predictions, including those that are missing."""
        return len(self.agreement)

    def summary(self) -> dict[str, Any]:
        """Return the summary as the stage `measure` writes it. ``frozen`` is empty: it is unknown."""
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
    path : the published CSV file
    label : version of the release; ``v3.0`` selects the rows of ``..._seg_v3.0.nii.gz``
    dataset : name of the participants' dataset in the registry of cordrift

    Raises
    ------
    ReleaseError
        The file is missing or is not such a table, a row is not valid, one mask has two values, or no row belongs to
        the version.
    """
    table = _read(path)
    rows = [_row(path, line, record) for line, record in enumerate(table.to_dict("records"), start=2)]
    tags = sorted({row.tag for row in rows if row.tag})
    if label not in tags:
        raise ReleaseError(
            f"{path} has no prediction of {label!r}{did_you_mean(label, tags)}; it has those of "
            f"{', '.join(tags) or 'none'} (from the file names, as in sub-X_T1w_seg_{label}.nii.gz)."
        )
    predictions, repeated_predictions = _once(path, (row for row in rows if row.tag == label))
    references, repeated_references = _once(path, (row for row in rows if not row.tag))
    levels = sorted({str(value).strip() for value in table["VertLevel"]} - {""})
    if len(levels) != 1:
        raise ReleaseError(f"{path} has rows of VertLevel {', '.join(levels) or 'none'}; expected one, such as 2:3.")
    name = _range(path, levels[0])
    digest = digest_of({"release": label, "file": sha256_of(path)})
    ruler = digest_of({"ruler": "sct_process_segmentation", "versions": sorted(set(table["SCT Version"]))})
    measures, agreement, missing = [], [], 0
    common = {"scope": "range", "levels": name, "kind": "binary", "ruler": ruler, "dataset": dataset}
    for key in sorted({*predictions, *references}):
        case = common | dict(zip(("participant", "session", "contrast"), key, strict=True))
        reference, prediction = references.get(key), predictions.get(key)
        missing += prediction is None
        flags = MISSING if prediction is None else EMPTY if math.isnan(prediction.csa_mm2) else ""
        series = {"source": "prediction", "bundle": digest, "inference": INFERENCE}
        measures.append(case | series | {"flags": flags} | _values(prediction))
        if reference is not None:
            measures.append(case | {"source": "reference"} | _values(reference))
        csa = [row.csa_mm2 if row else math.nan for row in (prediction, reference)]
        identity = {column: case[column] for column in ("dataset", "participant", "session", "contrast")}
        agreement.append({**identity, "bundle": digest, "inference": INFERENCE, "csa_error_mm2": abs(csa[0] - csa[1])})
    pairs = pd.DataFrame(agreement).reindex(columns=list(AGREEMENT_COLUMNS)).fillna({"flags": ""})
    empty = sum(math.isnan(row.csa_mm2) for row in predictions.values())
    repeated = repeated_predictions + repeated_references
    return Imported(label, digest, ruler, name, as_table(measures), pairs, repeated, empty, missing)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise ReleaseError(f"{path} is not a file (looked in {path.parent.resolve()}).")
    if path.stat().st_size > MOST_BYTES:
        raise ReleaseError(f"{path} has {path.stat().st_size} bytes; at most {MOST_BYTES} are read.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} is not a table of comma-separated values: {error}.") from error
    lacking = [name for name in NEEDED if name not in table.columns]
    if lacking:
        raise ReleaseError(
            f"{path} has no column {', '.join(lacking)}; expected the table that sct_process_segmentation writes."
        )
    return table


def _row(path: Path, line: int, record: dict[Any, Any]) -> _Row:
    where = f"{path}, line {line}"
    file = re.split(r"[/\\]", str(record["Filename"]))[-1]
    found = NAME.fullmatch(file)
    if found is None:
        raise ReleaseError(
            f"{where}: Filename ends in {file!r}; expected sub-X_CONTRAST_softseg_bin.nii.gz (reference) or "
            f"sub-X_CONTRAST_seg_VERSION.nii.gz (prediction), CONTRAST one of {', '.join(CONTRASTS)}."
        )
    key = found["participant"], found["session"] or "", found["contrast"]
    area, sd, length = (_number(where, record, name) for name in ("MEAN(area)", "STD(area)", "SUM(length)"))
    # The tool writes an area of 0 where the mask holds no cord: that is not an area.
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
        raise ReleaseError(f"{where}: {column} is {text!r}; expected a number from 0 on, or nothing.")
    return value


def _once(path: Path, rows: Iterable[_Row]) -> tuple[dict[tuple[str, str, str], _Row], int]:
    """Return the rows by case, and the number of repeated rows.

    The tool appends to its table, so a row may stand there twice, with the same value.
    """
    found: dict[tuple[str, str, str], _Row] = {}
    repeated = 0
    for row in rows:
        first = found.setdefault(row.key, row)
        repeated += first is not row
        same = first.csa_mm2 == row.csa_mm2 or (math.isnan(first.csa_mm2) and math.isnan(row.csa_mm2))
        if not same:
            raise ReleaseError(
                f"{path} has two areas for {row.mask}: {first.csa_mm2:g} mm2 in line {first.line} and {row.csa_mm2:g} "
                f"mm2 in line {row.line}; expected one. Remove the row that does not count."
            )
    return found, repeated


def _range(path: Path, text: str) -> str:
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= 25:
        raise ReleaseError(f"{path} has the VertLevel {text!r}; expected first and last vertebra, such as 2:3.")
    return range_name(list(range(int(found[1]), int(found[2]) + 1)))


def _values(row: _Row | None) -> dict[str, Any]:
    if row is None:
        return {}
    values = {"mask": row.mask, "csa_mm2": row.csa_mm2, "csa_sd_mm2": row.csa_sd_mm2, "length_mm": row.length_mm}
    return {**values, "n_slices": row.slices}
