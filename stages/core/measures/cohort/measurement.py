"""Measure a segmented cohort: every prediction and every reference, with one ruler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import CordriftError
from ...data.datasets.manifest import CLONES, Case, Manifest, locate
from ...images.volumes import Volume, read, read_on_grid
from ...model.segmentation.predictions import EMPTY, Segmentation, id_of_case, monitored_cases
from ...tables.columns import AGREEMENT_COLUMNS, MEASURES_COLUMNS
from ...tables.monitored import csa_of_mask
from ..morphometry.ruler import ruler_id
from ..morphometry.settings import Measure
from ..morphometry.table import failed_row, join_flags, measure_volume
from .agreement import agreement


@dataclass(frozen=True)
class Measured:
    """Tables ``measures`` and ``agreement``; numbers of predicted cases and of those without a mask."""

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
) -> Measured:
    """Measure predictions (binary and soft) against references (mask and softmask) of all monitored cases.

    Raises
    ------
    CordriftError
        The segmentation belongs to another set of cases; a file is missing, edited or unreadable; a mask lies on
        another grid than its image.
    """
    cases = monitored_cases(manifests, contrasts, segmentation)
    if not cases:
        raise CordriftError(f"no case of the contrasts {', '.join(contrasts)} is in the test datasets.")
    ruler = ruler_id(params)
    tables: list[pd.DataFrame] = []
    pairs: list[dict[str, Any]] = []
    failed = 0
    for manifest, case in cases:
        prediction = segmentation.predictions[id_of_case(case)]
        failed += prediction.binary is None and not prediction.lost
        mine, pair = _measure_case(manifest, case, segmentation, params, clones)
        tables += [table.assign(ruler=ruler) for table in mine]
        pairs.append(pair)
    measures = pd.concat(tables, ignore_index=True)[list(MEASURES_COLUMNS)]
    return Measured(measures, pd.DataFrame(pairs, columns=list(AGREEMENT_COLUMNS)), ruler, len(cases), failed)


def _measure_case(
    manifest: Manifest, case: Case, segmentation: Segmentation, params: Measure, clones: Path
) -> tuple[list[pd.DataFrame], dict[str, Any]]:
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
    # Masks and labels must agree on one grid. The image is not asked: it may be why the prediction failed.
    anchor = next((path for _, _, path, _ in sources if path is not None), None)
    grid = read(anchor) if anchor else None
    discs = None
    if case.discs and anchor and grid:
        discs = read_on_grid(locate(manifest, case.discs, clones), grid, anchor)
    for source, kind, path, name in sources:
        if path is None and source == "reference":
            continue
        if path is None or anchor is None or grid is None:
            table = absent_row(params.levels, lost=prediction.lost)
        else:
            mask = grid if path == anchor else read_on_grid(path, grid, anchor)
            table = _measure(mask, discs, params, path)
            if kind == "binary":
                masks[source] = mask
        if kind == "binary":
            csa[source] = csa_of_mask(table)
        row = identity | {"mask": name, "source": source, "kind": kind}
        row |= series if source == "prediction" else {"bundle": "", "inference": ""}
        tables.append(identified(table, row, prediction.warnings))
    pair: dict[str, Any] = identity | series | {"csa_error_mm2": float("nan"), "flags": ""}
    if prediction.binary is None and prediction.reason == EMPTY and "reference" in masks:
        # One of two masks is empty: no overlap at all, and not "unknown".
        nothing = Volume(masks["reference"].data * 0, masks["reference"].affine)
        pair |= asdict(agreement(nothing, masks["reference"])) | {"flags": "failed;prediction_empty"}
    elif prediction.lost:
        pair["flags"] = "lost"
    elif prediction.binary is None:
        pair["flags"] = "failed;stopped_by_check" if prediction.stopped else "failed"
    elif "reference" not in masks:
        pair["flags"] = "no_reference"
    else:
        overlap = asdict(agreement(masks["prediction"], masks["reference"]))
        pair |= overlap | {"flags": ";".join(overlap["flags"])}
        pair["csa_error_mm2"] = abs(csa["prediction"] - csa["reference"])
    pair["flags"] = _warned(pair["flags"], prediction.warnings)
    return tables, pair


def absent_row(levels: list[int], *, lost: bool) -> pd.DataFrame:
    """Return the range row of a case without a mask: a failure, or ``lost`` with its shard, which is none."""
    row = failed_row(levels)
    return row.assign(flags="lost") if lost else row


def identified(table: pd.DataFrame, row: Mapping[str, str], warnings: Iterable[str]) -> pd.DataFrame:
    """Return the table of a mask with the identity columns of ``row``, flagged with the checks that warn of its case.

    One function for masks of the pipeline and for kept ones that are measured again.
    """
    return table.assign(**row, flags=[_warned(str(flags), warnings) for flags in table["flags"]])


def _warned(flags: str, warnings: Iterable[str]) -> str:
    return join_flags((set(flags.split(";")) | {f"check:{name}" for name in warnings}) - {""})


def _measure(mask: Volume, discs: Volume | None, params: Measure, path: Path) -> pd.DataFrame:
    try:
        return measure_volume(mask, discs, params)
    except CordriftError as error:
        raise CordriftError(f"{path}: {error}") from error
