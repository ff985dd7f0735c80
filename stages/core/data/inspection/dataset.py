"""Inspect all cases of a dataset, each once, and compare them with each other."""

from __future__ import annotations

import json
import shutil
from collections import Counter
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

from ...base.errors import PipelineError
from ...base.files import digest_of, whole_file
from ...base.syntax import syntax_of
from ...images.fault import error, warning
from ..datasets.findings import Finding
from ..datasets.image_features import FEATURE_COLUMNS
from ..datasets.manifest import SYNTHETIC, Manifest
from .case import Task, finding, inspect, list_tasks
from .settings import Check

#: Folder with the results of each case: an interrupted check continues, and only new cases of a dataset are inspected.
CHECK_SCRATCH = Path("data/scratch")
#: Columns of volumes.csv, after ``schema``. The spacing is along the storage axes.
COLUMNS = (
    "participant", "session", "contrast", "image", "image_key", "shape", "spacing_0_mm", "spacing_1_mm", "spacing_2_mm",
    "orientation", "obliqueness_deg", "intensity_p1", "intensity_p50", "intensity_p99", "mask_volume_mm3",
    "mask_length_mm", "mask_components", "discs", "voxels", "errors", "warnings",
)  # fmt: skip
#: Modules on whose code the findings about a case depend: after an edit there, all cases are inspected again.
_CODE = (
    "data/datasets/findings.py", "data/datasets/image_features.py", "data/inspection/case.py",
    "data/inspection/features.py", "data/inspection/limits.py", "data/inspection/voxels.py", "images/fault.py",
    "images/header.py", "images/mask_values.py", "images/volumes.py",
)  # fmt: skip
#: So few cases are inspected faster than other processes start.
FEW_IMAGES = 8
#: Standard deviation of normally distributed values, in median absolute deviations.
_SD_PER_MAD = 1.4826
#: Smallest standard deviation that :func:`robust_z` assumes, as a share of the median.
LEAST_SPREAD = 0.05


def inspect_dataset(
    manifest: Manifest, params: Check, processes: int
) -> tuple[pd.DataFrame, list[Finding], pd.DataFrame]:
    """Inspect all cases, compare them, and return the table of images (``COLUMNS``), the findings, and the features.

    The table of features has the columns ``FEATURE_COLUMNS`` and a row for each image.

    Raises
    ------
    DatasetError
        A file is not as it was fetched.
    """
    results = _inspect_all(manifest, params, processes)
    rows = [result["row"] for result in results]
    findings = [
        Finding(**{**values, "value": np.nan if values["value"] is None else values["value"]})
        for result in results
        for values in result["findings"]
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    findings += twins(table) + outliers(table, params)
    for severity in ("error", "warning"):
        count = Counter(finding.identity for finding in findings if finding.severity == severity)
        cases = zip(table["participant"], table["session"], table["contrast"], strict=True)
        table[f"{severity}s"] = [count[case] for case in cases]
    features = pd.DataFrame([result["features"] for result in results], columns=list(FEATURE_COLUMNS))
    return table, findings, features.astype(dict.fromkeys(FEATURE_COLUMNS[3:], float))


def _inspect_all(manifest: Manifest, params: Check, processes: int) -> list[dict[str, Any]]:
    """Return the results of all cases in the order of the manifest; only new cases are inspected."""
    code = syntax_of(Path(__file__).parents[2], _CODE)
    results = CHECK_SCRATCH / f"check-{manifest.dataset}-{digest_of([code, params.model_dump()])[:16]}"
    results.mkdir(parents=True, exist_ok=True)
    tasks = list_tasks(manifest)
    new = [task for task in tasks if not (results / f"{task.digest}.json").is_file()]
    for task, result in tqdm(
        _run(new, params, processes), desc=f"check {manifest.dataset}", total=len(new), unit="image"
    ):
        with whole_file(results / f"{task.digest}.json") as part:
            part.write_text(json.dumps(result, allow_nan=False), encoding="utf-8")
    current = {f"{task.digest}.json" for task in tasks}
    for path in results.iterdir():  # do not keep results about participants who left the dataset
        if path.name not in current:
            path.unlink()
    for folder in CHECK_SCRATCH.glob(f"check-{manifest.dataset}-" + "?" * 16):
        if folder != results:
            shutil.rmtree(folder)
    return [json.loads((results / f"{task.digest}.json").read_text(encoding="utf-8")) for task in tasks]


def _run(tasks: list[Task], params: Check, processes: int) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Yield tasks with their results, in the order in which they end."""
    if processes <= 1 or len(tasks) < FEW_IMAGES:
        for task in tasks:
            yield task, inspect(task, params)
        return
    # spawn: a forked copy of a process that has run threads can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(inspect, task, params): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as reason:
            raise PipelineError(
                "another program or the operating system killed a process of the check, most likely because memory was "
                "short; free some memory and run the check again: it continues where it stopped."
            ) from reason
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def twins(table: pd.DataFrame) -> list[Finding]:
    """Return an error for every image that has the same voxels as an image of another participant.

    ``table`` is the table of images (``COLUMNS``).
    """
    findings = []
    known = table[table["voxels"] != ""]
    for _, same in known.groupby("voxels"):
        if same["participant"].nunique() < 2:
            continue
        for row in same.itertuples():
            other = same[same["participant"] != row.participant].iloc[0]
            fault = error(
                "twin", f"has exactly the same voxels as {other['image']}", "an image of this participant only"
            )
            findings.append(finding(_identity(row), str(row.image), fault))
    return findings


def outliers(table: pd.DataFrame, params: Check) -> list[Finding]:
    """Return a warning for every mask whose volume or length is far from the median of its contrast.

    ``table`` is the table of images (``COLUMNS``); distances are robust z scores.
    """
    findings = []
    for contrast, rows in table[table["contrast"] != SYNTHETIC].groupby("contrast"):
        for column, name, unit in (("mask_volume_mm3", "volume", "mm3"), ("mask_length_mm", "length", "mm")):
            values = rows[column].to_numpy(dtype=np.float64)
            scores = robust_z(values)
            if np.isfinite(values).sum() < params.outlier_n:
                continue
            median = float(np.nanmedian(values))
            for row, value, score in zip(rows.itertuples(), values, scores, strict=True):
                if abs(score) > params.outlier_z:
                    message = (
                        f"has a mask of {value:.4g} {unit}, {abs(score):.1f} robust standard deviations away from the "
                        "median"
                    )
                    expected = f"a value near the median of {contrast}, {median:.4g} {unit}"
                    fault = warning(f"mask-{name}", message, expected, float(value))
                    findings.append(finding(_identity(row), str(row.image), fault))
    return findings


def robust_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each value (n,) from the median, in standard deviations that few outliers do not change.

    The standard deviation is 1.4826 median absolute deviations, and at least ``LEAST_SPREAD`` of the median. The result
    is NaN where the value is NaN, and 0 where both median and spread are 0.

    >>> robust_z(np.array([90.0, 100.0, 110.0, 200.0])).round(2).tolist()
    [-1.01, -0.34, 0.34, 6.41]
    """
    median = np.nanmedian(values) if np.isfinite(values).any() else np.nan
    spread = _SD_PER_MAD * np.nanmedian(np.abs(values - median)) if np.isfinite(median) else np.nan
    # Where most masks have exactly one length, as on one grid, a small difference must not count as an outlier. Cords
    # of healthy people differ by about ten per cent, twice the smallest spread that is assumed here.
    spread = max(float(spread), LEAST_SPREAD * abs(float(median))) if np.isfinite(spread) else np.nan
    scores: NDArray[np.float64] = (
        np.where(np.isfinite(values), (values - median) / spread, np.nan) if spread else values * 0
    )
    return scores


def _identity(row: Any) -> dict[str, str]:
    return {"participant": str(row.participant), "session": str(row.session), "contrast": str(row.contrast)}
