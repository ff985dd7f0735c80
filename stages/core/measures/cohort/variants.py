"""The runner floor: how much the CSA changes when the same bundle segments the same images in another way.

A few participants are segmented again with another number of threads, tile step, device or backend, or with or without
the localiser. A drift that is not larger than this floor says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ...data.datasets.manifest import CLONES, Case, Manifest, locate
from ...images.volumes import Volume, read, read_on_grid
from ...model.segmentation.predictor import Predict
from ...model.segmentation.settings import Segment
from ...tables.monitored import CASE, csa_of_mask
from ..morphometry.settings import Measure
from ..morphometry.table import measure_volume
from .settings import Floor

COLUMNS = ["variant", *CASE, "csa_mm2", "base_mm2", "difference_mm2"]


@dataclass(frozen=True)
class Variant:
    """Another way to run the bundle: its name in words, and its settings."""

    name: str
    settings: Segment


def variants(settings: Segment, floor: Floor) -> list[Variant]:
    """Return the ways to run that are tried: first the same settings again, then each with one setting changed."""
    tried = [Variant("the same again", settings)]
    single = ("threads", "step", "coarse_to_fine")
    others = {name: settings.model_copy(update={name: getattr(floor, name)}) for name in single}
    others |= {"device": settings.on(floor.device)} if floor.device else {}
    others |= {"backend": settings.by(floor.backend)} if floor.backend else {}
    for name, other in others.items():
        now, was = getattr(other, name), getattr(settings, name)
        if now not in (None, was):
            tried.append(Variant(f"{name} {str(now).lower()} instead of {str(was).lower()}", other))
    return tried


def some_cases(manifests: Sequence[Manifest], contrasts: Sequence[str], people: int) -> list[tuple[Manifest, Case]]:
    """Return all cases with disc labels of the first ``people`` participants, in the order of dataset and id."""
    cases = [(m, c) for m in manifests for c in m.case_list() if c.contrast in contrasts and c.discs]
    names = sorted({(case.dataset, case.participant) for _, case in cases})[:people]
    return [(m, case) for m, case in cases if (case.dataset, case.participant) in names]


def run_variants(
    chosen: Sequence[Variant],
    cases: Sequence[tuple[Manifest, Case]],
    base: pd.DataFrame,
    measure: Measure,
    make: Callable[[Segment], Predict],
    clones: Path = CLONES,
) -> pd.DataFrame:
    """Segment and measure the cases with each variant; columns COLUMNS, areas in mm2 at the range.

    Parameters
    ----------
    chosen : the variants to run
    cases : the images to segment, each with the manifest of its dataset
    base : CSA of the candidate, columns CASE and csa_mm2 (mm2); cases that it did not measure are left out
    measure : parameters of the ruler
    make : returns a predictor for given settings
    clones : folder of the clones
    """
    known = base.dropna(subset=["csa_mm2"]).set_index(CASE)["csa_mm2"]
    wanted = [(m, c) for m, c in cases if (c.dataset, c.participant, c.session, c.contrast) in known.index]
    rows: list[list[Any]] = []
    for variant in chosen if wanted else []:
        predict = make(variant.settings)
        for manifest, case in tqdm(wanted, desc=f"floor: {variant.name}", unit="image"):
            key = case.dataset, case.participant, case.session, case.contrast
            csa, was = _csa(predict, manifest, case, variant.settings.threshold, measure, clones), float(known[key])
            # A table keeps ten digits, so a smaller difference is rounding and not a change.
            rows.append([variant.name, *key, csa, was, round(csa - was, 6)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _csa(predict: Predict, manifest: Manifest, case: Case, threshold: float, measure: Measure, clones: Path) -> float:
    path = locate(manifest, case.image, clones)
    image = read(path)
    mask = Volume((predict(image) >= threshold).astype(np.float32), image.affine)
    discs = read_on_grid(locate(manifest, str(case.discs), clones), image, path)
    return csa_of_mask(measure_volume(mask, discs, measure))


def runner_floor(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one record for each variant: participants, measured and lost cases, and the change of CSA in mm2.

    The change is given as mean, mean of the absolute values, and largest absolute value.
    """
    rows = []
    for name, cases in table.groupby("variant", sort=False):
        change = cases["difference_mm2"].dropna().abs()
        rows.append(
            {
                "variant": str(name),
                "participants": len(cases[["dataset", "participant"]].drop_duplicates()),
                "n": len(change),
                "lost": int(cases["difference_mm2"].isna().sum()),
                "mean_mm2": float(cases["difference_mm2"].mean()),
                "mean_abs_mm2": float(change.mean()),
                "worst_mm2": float(change.max()),
            }
        )
    return rows
