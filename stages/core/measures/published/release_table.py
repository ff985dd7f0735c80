"""CSA tables that earlier releases published, read into the tables of cordrift.

Another ruler (sct_process_segmentation) made them: one file per release, one row per mask. The last part of
``Filename`` names the participant and the mask: ``sub-X_T1w_softseg_bin.nii.gz`` is the reference and
``sub-X_T1w_seg_v3.0.nii.gz`` the prediction of version v3.0. The file itself is kept with the version.
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
from ..morphometry.levels import LAST_DISC, range_name
from ..morphometry.table import as_table
from .sct_table import SctRow, read_sct, require_same_area

CONTRASTS = ("T1w", "T2w", "T2star", "MTon", "MToff", "DWI")
NAME = re.compile(
    r"(?P<participant>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?"
    rf"_(?P<contrast>{'|'.join(CONTRASTS)})_(?:(?P<reference>softseg_bin)|seg_(?P<tag>.+))\.nii(?:\.gz)?"
)
#: Stands in the place of the digest of the inference settings, which nobody recorded.
INFERENCE = "imported"
#: Flags of a case without a value: its row has no area, or the table has no row for it.
NO_AREA, NO_ROW = "empty_in_release", "not_in_release"


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
    found: SctRow


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
    table = read_sct(path)
    rows = [_row(path, row) for row in table.rows]
    tags = sorted({row.tag for row in rows if row.tag})
    if label not in tags:
        raise ReleaseError(
            f"{path} has no prediction of {label!r}{did_you_mean(label, tags)}; it has those of "
            f"{', '.join(tags) or 'none'} (from the file names, as in sub-X_T1w_seg_{label}.nii.gz)."
        )
    predictions, repeated_predictions = _once(path, (row for row in rows if row.tag == label))
    references, repeated_references = _once(path, (row for row in rows if not row.tag))
    levels = sorted({row.levels for row in table.rows if row.levels})
    if len(levels) != 1 or not 1 <= levels[0][0] <= levels[0][1] <= LAST_DISC:
        named = ", ".join(f"{first}:{last}" for first, last in levels) or "none"
        raise ReleaseError(f"{path} has rows of VertLevel {named}; expected one, such as 2:3.")
    name = range_name(list(range(levels[0][0], levels[0][1] + 1)))
    digest = digest_of({"release": label, "file": sha256_of(path)})
    ruler = digest_of({"ruler": "sct_process_segmentation", "versions": table.versions})
    measures, agreement, missing = [], [], 0
    common = {"scope": "range", "levels": name, "kind": "binary", "ruler": ruler, "dataset": dataset}
    for key in sorted({*predictions, *references}):
        case = common | dict(zip(("participant", "session", "contrast"), key, strict=True))
        reference, prediction = references.get(key), predictions.get(key)
        missing += prediction is None
        flags = NO_ROW if prediction is None else NO_AREA if math.isnan(prediction.csa_mm2) else ""
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


def _row(path: Path, row: SctRow) -> _Row:
    found = NAME.fullmatch(row.mask)
    if found is None:
        raise ReleaseError(
            f"{path}, line {row.line}: Filename ends in {row.mask!r}; expected sub-X_CONTRAST_softseg_bin.nii.gz "
            f"(reference) or sub-X_CONTRAST_seg_VERSION.nii.gz (prediction), CONTRAST one of {', '.join(CONTRASTS)}."
        )
    return _Row((found["participant"], found["session"] or "", found["contrast"]), found["tag"] or "", row)


def _once(path: Path, rows: Iterable[_Row]) -> tuple[dict[tuple[str, str, str], SctRow], int]:
    """Return the rows by case, and the number of repeated rows.

    The tool appends to its table, so a row may stand there twice, with the same value.
    """
    once: dict[tuple[str, str, str], SctRow] = {}
    repeated = 0
    for row in rows:
        first = once.setdefault(row.key, row.found)
        repeated += first is not row.found
        require_same_area(path, first, row.found)
    return once, repeated


def _values(row: SctRow | None) -> dict[str, Any]:
    if row is None:
        return {}
    values = {"mask": row.mask, "csa_mm2": row.csa_mm2, "csa_sd_mm2": row.csa_sd_mm2, "length_mm": row.length_mm}
    return {**values, "n_slices": row.slices[1] - row.slices[0] + 1 if row.slices else None}
