"""The table in which ``check`` says what each image is like."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ...base.errors import DatasetError
from ...base.files import read_csv
from .findings import VOLUMES
from .manifest import Manifest

#: Table in ``data/check/<dataset>``.
FEATURES = "features.csv"
_CASE = ("participant", "session", "contrast")
#: Features of an image, and what each is.
IMAGE_FEATURES: dict[str, str] = {
    "spacing_x_mm": "voxel size, right to left",
    "spacing_y_mm": "voxel size, back to front",
    "spacing_z_mm": "voxel size, along the body",
    "extent_x_mm": "field of view, right to left",
    "extent_y_mm": "field of view, back to front",
    "extent_z_mm": "field of view, along the body",
    "intensity_q10": "10 % quantile of the intensities",
    "intensity_q25": "25 % quantile of the intensities",
    "intensity_q50": "median of the intensities",
    "intensity_q75": "75 % quantile of the intensities",
    "intensity_q90": "90 % quantile of the intensities",
    "border_contrast": "contrast-to-noise at the border of the cord",
    **{
        f"{where}_{name}": f"{said} in {place}"
        for where, place in (("cord", "the cord"), ("ring", "the ring around it"))
        for name, said in (
            ("mean", "mean intensity"),
            ("sd", "SD of the intensity"),
            ("skewness", "skewness of the intensity"),
            ("glcm_contrast", "texture contrast"),
            ("glcm_homogeneity", "texture homogeneity"),
            ("glcm_correlation", "texture correlation"),
        )
    },
}
FEATURE_COLUMNS = (*_CASE, *IMAGE_FEATURES, "field_strength_t")


def read_features(checked: Path, manifests: Iterable[Manifest]) -> pd.DataFrame:
    """Return dataset, ``FEATURE_COLUMNS`` and what participants.tsv says, a row for each image without an error.

    What `check` calls an error, such as voxels in metres, would be a shift of its own.

    Parameters
    ----------
    checked : folder with the output of ``check`` for each dataset
    manifests : of the datasets

    Returns
    -------
    more columns: ``manufacturer``, ``sex`` and ``pathology`` (``""`` where it is not known), ``age_years``

    Raises
    ------
    DatasetError
        A dataset was checked before this table was written.
    """
    tables = []
    for manifest in manifests:
        path = checked / manifest.dataset / FEATURES
        if not path.is_file():
            raise DatasetError(f"{path} is missing; run `dvc repro check@{manifest.dataset}`, which writes it.")
        people = {person.participant: person for person in manifest.participants}
        images = read_csv(path.with_name(VOLUMES), text=_CASE)
        good = images.loc[images["errors"] == 0, list(_CASE)]
        table = read_csv(path, text=_CASE)[list(FEATURE_COLUMNS)].merge(good, on=list(_CASE), validate="1:1")
        table = table.assign(dataset=manifest.dataset)
        for name in ("manufacturer", "sex", "pathology"):
            table[name] = [getattr(people.get(sub), name, "") for sub in table["participant"]]
        ages = [getattr(people.get(sub), "age", "") for sub in table["participant"]]
        table["age_years"] = [_number(age) for age in ages]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _number(text: str) -> float:
    try:
        value = float(text.rstrip("+"))
    except ValueError:
        return math.nan
    return value if 0 < value < 130 else math.nan
