"""Measure kept masks again, so that a version that another ruler measured can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from tqdm import tqdm

from ...base.errors import BundleError, ImageError
from ...base.files import read_csv
from ...model.segmentation.predictions import LOST
from ...tables.columns import MEASURES_COLUMNS, MEASURES_TEXT
from ...tables.monitored import CASE, Source, range_csa
from ...tables.summary import read_summary
from ..cohort.measurement import absent_row, identified
from ..morphometry.levels import range_name
from ..morphometry.ruler import ruler_id
from ..morphometry.settings import Measure
from ..morphometry.table import measure_volume
from .layout import KeptEntry, MaskKind, discs_of, restore
from .reader import KeptZip


@dataclass(frozen=True)
class Ruler:
    """The ruler that measures today, with the references that it measured.

    Attributes
    ----------
    params : parameters of the ruler
    id : identity of the ruler
    frozen : digest of the frozen set whose references were measured, ``""`` when there are none
    references : CSA (mm2) at the range of the reference of each case (dataset, participant, session, contrast)
    """

    params: Measure
    id: str
    frozen: str
    references: Mapping[tuple[str, ...], float]

    @property
    def range(self) -> str:
        """Name of the monitored range."""
        return range_name(self.params.levels)


def current_ruler(params: Measure, measured: Path) -> Ruler:
    """Return the ruler of ``params``, with the references that ``measured`` (output of the stage `measure`) holds.

    It has no references where there is no such output, or where another ruler measured it.
    """
    ruler = ruler_id(params)
    if not (measured / "summary.json").is_file():
        return Ruler(params, ruler, "", {})
    summary = read_summary(measured / "summary.json")
    if summary["ruler"] != ruler:
        return Ruler(params, ruler, "", {})
    table = read_csv(measured / "measures.csv", text=MEASURES_TEXT)
    return Ruler(params, ruler, str(summary["frozen"]), _csa(table, "reference", range_name(params.levels)))


def remeasure(kept: KeptZip, ruler: Ruler) -> pd.DataFrame:
    """Measure all kept masks and return the rows of measures.csv with the source ``prediction``.

    Cases that failed when they were segmented stay failed.

    Raises
    ------
    BundleError
        There is no case, or a kept mask cannot be restored or measured; the error names its case.
    """
    tables = []
    for case in tqdm(kept.index.cases, desc=f"measure {kept.index.bundle[:12]} again", unit="case", disable=None):
        for kind in get_args(MaskKind):
            try:
                tables.append(_measure_kept(kept, case, kind, ruler.params))
            except ImageError as error:
                name = " ".join(filter(None, (case.dataset, case.participant, case.session, case.contrast)))
                raise BundleError(f"the kept {kind} mask of {name}: {error}") from error
    if not tables:
        raise BundleError("masks.zip holds no case.")
    return pd.concat(tables, ignore_index=True).assign(ruler=ruler.id)[list(MEASURES_COLUMNS)]


def _measure_kept(kept: KeptZip, case: KeptEntry, kind: MaskKind, params: Measure) -> pd.DataFrame:
    mask = case.masks.get(kind)
    if mask is None:
        table = absent_row(params.levels, lost=case.reason.startswith(LOST))
    else:
        volume = restore(mask, kept.files[mask.file])
        table = measure_volume(volume, discs_of(case, volume), params)
    row = {name: getattr(case, name) for name in CASE}
    row |= {"source": "prediction", "kind": kind, "mask": mask.file if mask else ""}
    row |= {"bundle": kept.index.bundle, "inference": kept.index.inference}
    return identified(table, row, case.warnings)


def with_new_errors(agreement: pd.DataFrame, measures: pd.DataFrame, frozen: str, ruler: Ruler) -> pd.DataFrame:
    """Return an agreement table whose ``csa_error_mm2`` comes from ``measures`` and the references of ``ruler``.

    Overlap and volumes do not depend on the ruler and stay. The error is NaN where ``ruler`` did not measure the
    references of the version's frozen set: the difference between two rulers would not be an error of the model.

    Parameters
    ----------
    agreement : rows of agreement.csv of the version
    measures : rows of measures.csv of the version, measured with ``ruler``
    frozen : digest of the version's frozen set
    ruler : the ruler that measures today
    """
    predicted = _csa(measures, "prediction", ruler.range)
    references = ruler.references if frozen == ruler.frozen else {}
    keys = [tuple(row) for row in agreement[CASE].astype(str).to_numpy().tolist()]
    errors = [abs(predicted.get(key, np.nan) - references.get(key, np.nan)) for key in keys]
    return agreement.assign(csa_error_mm2=np.array(errors, dtype=np.float64))


def _csa(measures: pd.DataFrame, source: Source, range_name: str) -> dict[tuple[str, ...], float]:
    table = range_csa(measures, source, range_name)
    keys = [tuple(row) for row in table[CASE].astype(str).to_numpy().tolist()]
    return dict(zip(keys, table["csa_mm2"].astype(float).tolist(), strict=True))
