"""Measure a segmented cohort: every prediction and every reference, with one ruler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import DatasetError, ImageError
from ...data.datasets.manifest import CLONES, Case, Manifest, locate
from ...images.volumes import Volume, read, read_on_grid
from ...model.segmentation.predictions import EMPTY_MASK, Prediction, Segmentation, id_of_case, monitored_cases
from ...tables.columns import AGREEMENT_COLUMNS, MEASURES_COLUMNS
from ...tables.flags import table_with_checks, with_checks
from ...tables.monitored import csa_of_mask
from ..morphometry.ruler import ruler_id
from ..morphometry.settings import Measure
from ..morphometry.table import failed_row, measure_volume
from .agreement import agreement


@dataclass(frozen=True)
class MeasuredCohort:
    """The tables of a measured cohort.

    Attributes
    ----------
    measures, agreement : rows of measures.csv and agreement.csv
    ruler : identity of the ruler
    cases, failed : number of cases, and of those whose mask could not be made
    """

    measures: pd.DataFrame
    agreement: pd.DataFrame
    ruler: str
    cases: int
    failed: int


def measure_cohort(
    manifests: list[Manifest],
    segmentation: Segmentation,
    contrasts: list[str],
    params: Measure,
    clones: Path = CLONES,
) -> MeasuredCohort:
    """Measure predictions (binary and soft) and references (mask and softmask) of all monitored cases.

    Parameters
    ----------
    manifests : of the test datasets
    segmentation : predictions of one bundle on these datasets
    contrasts : the contrasts that are monitored
    params : parameters of the ruler
    clones : folder of the datasets' clones

    Raises
    ------
    DatasetError
        No case has one of the contrasts, or a file of a clone is missing or edited.
    BundleError
        The segmentation belongs to another set of cases.
    ImageError
        A mask or a label cannot be read or measured, or lies on another grid.
    """
    cases = monitored_cases(manifests, contrasts, segmentation)
    if not cases:
        raise DatasetError(f"no case of the contrasts {', '.join(contrasts)} is in the test datasets.")
    ruler = ruler_id(params)
    tables: list[pd.DataFrame] = []
    pairs: list[dict[str, Any]] = []
    failed = 0
    for manifest, case in cases:
        prediction = segmentation.predictions[id_of_case(case)]
        failed += prediction.binary is None and not prediction.lost
        tables_of_case, pair = _measure_case(manifest, case, segmentation, params, clones)
        tables += [table.assign(ruler=ruler) for table in tables_of_case]
        pairs.append(pair)
    measures = pd.concat(tables, ignore_index=True)[list(MEASURES_COLUMNS)]
    return MeasuredCohort(measures, pd.DataFrame(pairs, columns=list(AGREEMENT_COLUMNS)), ruler, len(cases), failed)


def _measure_case(
    manifest: Manifest, case: Case, segmentation: Segmentation, params: Measure, clones: Path
) -> tuple[list[pd.DataFrame], dict[str, Any]]:
    """Return the tables of all masks of a case, and its row of agreement.csv."""
    prediction = segmentation.predictions[id_of_case(case)]
    identity = {
        "dataset": case.dataset, "participant": case.participant, "session": case.session, "contrast": case.contrast,
    }  # fmt: skip
    series = {"bundle": segmentation.bundle, "inference": segmentation.inference}
    tables: list[pd.DataFrame] = []
    csa: dict[str, float] = {}
    masks: dict[str, Volume] = {}
    sources: list[tuple[str, str, Path | None, str]] = [
        ("prediction", "binary", prediction.binary, prediction.names.get("binary", "")),
        ("prediction", "soft", prediction.soft, prediction.names.get("soft", "")),
    ]
    references = {"binary": case.mask, "soft": case.softmask}
    for kind, name in references.items() if not prediction.stopped else ():
        sources.append(("reference", kind, locate(manifest, name, clones) if name else None, name or ""))
    # All masks and labels must lie on one grid. The image is not read: it may be why the prediction failed.
    first = next((path for _, _, path, _ in sources if path is not None), None)
    grid = read(first) if first else None
    discs = None
    if case.discs and first and grid:
        discs = read_on_grid(locate(manifest, case.discs, clones), grid, first)
    for source, kind, path, name in sources:
        if path is None and source == "reference":
            continue
        if path is None or first is None or grid is None:
            table = absent_row(params.levels, lost=prediction.lost)
        else:
            mask = grid if path == first else read_on_grid(path, grid, first)
            table = _measure(mask, discs, params, path)
            if kind == "binary":
                masks[source] = mask
        if kind == "binary":
            csa[source] = csa_of_mask(table)
        row = identity | {"mask": name, "source": source, "kind": kind}
        row |= series if source == "prediction" else {"bundle": "", "inference": ""}
        tables.append(identified(table, row, prediction.warnings))
    pair = _compare(prediction, masks, csa)
    pair["flags"] = with_checks(pair["flags"], prediction.warnings)
    return tables, identity | series | pair


def _compare(prediction: Prediction, masks: Mapping[str, Volume], csa: Mapping[str, float]) -> dict[str, Any]:
    """Return agreement, error of CSA (mm2) and flags of a case; what cannot be computed is left out or NaN.

    Parameters
    ----------
    masks, csa : ``prediction`` and ``reference``, where they exist: the binary mask, and its CSA at the range (mm2)
    """
    if prediction.binary is None and prediction.reason == EMPTY_MASK and "reference" in masks:
        # The model found nothing where there is cord: the overlap is 0, and not unknown.
        nothing = Volume(masks["reference"].data * 0, masks["reference"].affine)
        overlap, flags = asdict(agreement(nothing, masks["reference"])), "failed;prediction_empty"
    elif prediction.lost:
        overlap, flags = {}, "lost"
    elif prediction.binary is None:
        overlap, flags = {}, "failed;stopped_by_check" if prediction.stopped else "failed"
    elif "reference" not in masks:
        overlap, flags = {}, "no_reference"
    else:
        overlap = asdict(agreement(masks["prediction"], masks["reference"]))
        error = abs(csa["prediction"] - csa["reference"])
        return overlap | {"csa_error_mm2": error, "flags": ";".join(overlap["flags"])}
    return overlap | {"csa_error_mm2": float("nan"), "flags": flags}


def absent_row(levels: list[int], *, lost: bool) -> pd.DataFrame:
    """Return the range row of a case without a mask: flagged ``failed``, or ``lost`` where its shard is missing."""
    row = failed_row(levels)
    return row.assign(flags="lost") if lost else row


def identified(table: pd.DataFrame, row: Mapping[str, str], warnings: Iterable[str]) -> pd.DataFrame:
    """Return the table of a mask with its identity columns and with a flag for each check that warns of its case.

    Masks of the pipeline and kept masks that are measured again both use this function.

    Parameters
    ----------
    table : rows of one mask
    row : identity columns and their values
    warnings : names of the checks
    """
    return table_with_checks(table.assign(**row), warnings)


def _measure(mask: Volume, discs: Volume | None, params: Measure, path: Path) -> pd.DataFrame:
    """Measure a mask; an error names its file."""
    try:
        return measure_volume(mask, discs, params)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
