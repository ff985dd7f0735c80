"""All cases of a dataset: inspected once each, and compared with each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from ...base.errors import CordriftError
from ...base.files import digest_of, whole_file
from ...base.syntax import syntax_of
from ..datasets.findings import Finding
from ..datasets.manifest import SYNTHETIC, Manifest
from .case import Work, finding, inspect, works
from .fault import error, warning
from .settings import Check

#: Where what is known of each case is kept, so that a check goes on where it stopped and growth costs only what is new.
SCRATCH = Path("data/scratch")
#: Columns of volumes.csv, after ``schema``. Spacing is along the storage axes.
COLUMNS = (
    "participant", "session", "contrast", "image", "image_key", "shape", "spacing_0_mm", "spacing_1_mm", "spacing_2_mm",
    "orientation", "obliqueness_deg", "intensity_p1", "intensity_p50", "intensity_p99", "mask_volume_mm3",
    "mask_length_mm", "mask_components", "discs", "voxels", "errors", "warnings",
)  # fmt: skip
#: What the findings about a single case follow from: after an edit there, every case is inspected again.
_CODE = (
    "data/datasets/findings.py", "data/inspection/case.py", "data/inspection/fault.py", "data/inspection/header.py",
    "data/inspection/voxels.py", "images/volumes.py",
)  # fmt: skip
#: Fewer cases than this are done before other processes have started.
FEW = 8
#: A robust z score counts MADs of 1.4826, so that it is a standard deviation of normal values.
_MAD = 1.4826
#: Least spread that is believed, as a share of the median.
LEAST_SPREAD = 0.05


def inspect_dataset(manifest: Manifest, params: Check, processes: int) -> tuple[pd.DataFrame, list[Finding]]:
    """Inspect every case and compare all of them; returns the table of images (COLUMNS) and the findings.

    Raises
    ------
    CordriftError
        A file is not as it was fetched.
    """
    results = _each(manifest, params, processes)
    rows = [result["row"] for result in results]
    found = [Finding(**{**one, "value": np.nan if one["value"] is None else one["value"]})
             for result in results for one in result["findings"]]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    found += twins(table) + outliers(table, params)
    case = [(f.participant, f.session, f.contrast) for f in found]
    for severity in ("error", "warning"):
        count = pd.Series([c for c, f in zip(case, found, strict=True) if f.severity == severity]).value_counts()
        keys = zip(table["participant"], table["session"], table["contrast"], strict=True)
        table[f"{severity}s"] = [int(count.get(key, 0)) for key in keys]
    return table, found


def _each(manifest: Manifest, params: Check, processes: int) -> list[dict[str, Any]]:
    """Inspect what is not known yet; the results in the order of the manifest."""
    code = syntax_of(Path(__file__).parents[2], _CODE)
    kept = SCRATCH / f"check-{manifest.dataset}-{digest_of([code, params.model_dump()])[:16]}"
    kept.mkdir(parents=True, exist_ok=True)
    todo = works(manifest)
    new = [work for work in todo if not (kept / f"{work.digest}.json").is_file()]
    for work, result in tqdm(
        _run(new, params, processes), desc=f"check {manifest.dataset}", total=len(new), unit="image"
    ):
        with whole_file(kept / f"{work.digest}.json") as part:
            part.write_text(json.dumps(result, allow_nan=False), encoding="utf-8")
    wanted = {f"{work.digest}.json" for work in todo}
    for path in kept.iterdir():  # nothing is kept of who left the dataset
        if path.name not in wanted:
            path.unlink()
    for folder in SCRATCH.glob(f"check-{manifest.dataset}-" + "?" * 16):
        if folder != kept:
            shutil.rmtree(folder)
    return [json.loads((kept / f"{work.digest}.json").read_text(encoding="utf-8")) for work in todo]


def _run(new: list[Work], params: Check, processes: int) -> Iterator[tuple[Work, dict[str, Any]]]:
    if processes <= 1 or len(new) < FEW:
        for work in new:
            yield work, inspect(work, params)
        return
    # spawn: a forked copy of a process that has run threads can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(inspect, work, params): work for work in new}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as reason:
            raise CordriftError(
                "a process of the check was killed from outside, most likely for want of memory; free some and run the "
                "check again: it goes on where it stopped."
            ) from reason
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def twins(table: pd.DataFrame) -> list[Finding]:
    """Errors for images with the same voxels under two participants."""
    found = []
    known = table[table["voxels"] != ""]
    for _, same in known.groupby("voxels"):
        if same["participant"].nunique() < 2:
            continue
        for row in same.itertuples():
            other = same[same["participant"] != row.participant].iloc[0]
            say = error("twin", f"has the very voxels of {other['image']}", "an image of this participant alone")
            found.append(finding(_identity(row), str(row.image), say))
    return found


def outliers(table: pd.DataFrame, params: Check) -> list[Finding]:
    """Warnings for masks whose volume or length lies far from the median of their contrast, in robust z scores."""
    found = []
    for contrast, rows in table[table["contrast"] != SYNTHETIC].groupby("contrast"):
        for column, name, unit in (("mask_volume_mm3", "volume", "mm3"), ("mask_length_mm", "length", "mm")):
            values = rows[column].to_numpy(dtype=np.float64)
            scores = robust_z(values)
            if np.isfinite(values).sum() < params.outlier_n:
                continue
            median = float(np.nanmedian(values))
            for row, value, score in zip(rows.itertuples(), values, scores, strict=True):
                if abs(score) > params.outlier_z:
                    say = f"has a mask of {value:.4g} {unit}, {abs(score):.1f} robust standard deviations off"
                    expected = f"near the median of {contrast}, {median:.4g} {unit}"
                    found.append(
                        finding(_identity(row), str(row.image), warning(f"mask-{name}", say, expected, float(value)))
                    )
    return found


def robust_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from the median in 1.4826 median absolute deviations, (n,); NaN where the value is, 0 without spread."""
    median = np.nanmedian(values) if np.isfinite(values).any() else np.nan
    spread = _MAD * np.nanmedian(np.abs(values - median)) if np.isfinite(median) else np.nan
    # Where most masks are exactly alike, as the lengths on one grid may be, another length is no outlier by itself:
    # five per cent of the median is the least spread that is believed (healthy cords differ by twice that).
    spread = max(float(spread), LEAST_SPREAD * abs(float(median))) if np.isfinite(spread) else np.nan
    scores: NDArray[np.float64] = (
        np.where(np.isfinite(values), (values - median) / spread, np.nan) if spread else values * 0
    )
    return scores


def _identity(row: Any) -> dict[str, str]:
    return {"participant": str(row.participant), "session": str(row.session), "contrast": str(row.contrast)}
