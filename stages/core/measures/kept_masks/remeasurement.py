"""Measure kept masks again, so that a version that was measured with another ruler can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from tqdm import tqdm

from ...base.errors import CordriftError
from ...base.files import read_csv, read_json
from ...model.segmentation.predictions import LOST
from ...tables.columns import MEASURES_COLUMNS, MEASURES_TEXT
from ...tables.monitored import CASE, Source, range_csa
from ..cohort.measurement import absent_row, identified
from ..morphometry.levels import range_name
from ..morphometry.ruler import ruler_id
from ..morphometry.settings import Measure
from ..morphometry.table import measure_volume
from .layout import KeptEntry, Kind, discs_of, restore
from .reader import KeptZip


@dataclass(frozen=True)
class Ruler:
    """Today's ruler.

    Attributes
    ----------
    params : its parameters
    id : its identity
    frozen : digest of the frozen set whose references it measured, ``""`` when they are not at hand
    references : CSA (mm2) of the reference of each case (dataset, participant, session, contrast) at the range
    """

    params: Measure
    id: str
    frozen: str
    references: Mapping[tuple[str, ...], float]

    @property
    def range(self) -> str:
        """Name of the range that is monitored."""
        return range_name(self.params.levels)


def current_ruler(params: Measure, measured: Path) -> Ruler:
    """Return the ruler of ``params``, with the references that ``measured`` (output of the stage measure) holds."""
    ruler = ruler_id(params)
    if not (measured / "summary.json").is_file():
        return Ruler(params, ruler, "", {})
    summary = read_json(measured / "summary.json")
    if summary["ruler"] != ruler:
        return Ruler(params, ruler, "", {})
    table = read_csv(measured / "measures.csv", text=MEASURES_TEXT)
    return Ruler(params, ruler, str(summary["frozen"]), _csa(table, "reference", range_name(params.levels)))


def remeasure(kept: KeptZip, ruler: Ruler) -> pd.DataFrame:
    """Measure all kept masks: the rows of measures.csv whose source is ``prediction``; failed cases stay failed.

    Raises
    ------
    CordriftError
        A kept mask that cannot be restored or measured; names the case.
    """
    tables = []
    for case in tqdm(kept.index.cases, desc=f"measure {kept.index.bundle[:12]} again", unit="case", disable=None):
        for kind in get_args(Kind):
            try:
                tables.append(_measure_kept(kept, case, kind, ruler.params))
            except CordriftError as error:
                name = " ".join(filter(None, (case.dataset, case.participant, case.session, case.contrast)))
                raise CordriftError(f"the kept {kind} mask of {name}: {error}") from error
    if not tables:
        raise CordriftError("masks.zip holds no case.")
    return pd.concat(tables, ignore_index=True).assign(ruler=ruler.id)[list(MEASURES_COLUMNS)]


def _measure_kept(kept: KeptZip, case: KeptEntry, kind: Kind, params: Measure) -> pd.DataFrame:
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
    """Return an agreement table whose ``csa_error_mm2`` is of ``measures`` and the current references.

    Overlap and volumes do not depend on the ruler and stay. The error is NaN where the references of the version's
    frozen set are not at hand: two rulers in one difference would be no error of the model.
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
