"""What the segmentation took: seconds and memory per image, and how much of each image was computed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ..base.files import read_csv

#: File of a shard of `segment`, of `report`, and of a version in MLflow.
RESOURCES = "resources.csv"
#: Columns of a shard's file, after ``schema``: one row for each image that was segmented.
RESOURCES_COLUMNS = (
    "dataset", "participant", "session", "contrast", "backend", "device", "share_computed", "seconds", "peak_memory_mb",
)  # fmt: skip
#: Columns of the file of a version, after ``schema``: one row for each contrast; it names nobody.
BY_CONTRAST_COLUMNS = (
    "contrast", "images", "backend", "device", "share_computed", "seconds_median", "seconds_max", "peak_memory_mb",
)  # fmt: skip
_TEXT = ("dataset", "participant", "session", "contrast", "backend", "device")


def read_resources(folders: Iterable[Path]) -> pd.DataFrame:
    """Read the files of shards, one below the other.

    A shard that was not delivered, or was segmented before this was recorded, has no file and no rows.
    """
    tables = [read_csv(folder / RESOURCES, text=_TEXT) for folder in folders if (folder / RESOURCES).is_file()]
    if not tables:
        return pd.DataFrame(columns=list(RESOURCES_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(RESOURCES_COLUMNS)]


def by_contrast(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each contrast.

    Parameters
    ----------
    table : as :func:`read_resources` returns it

    Returns
    -------
    how many images; median of the share computed (0 to 1) and of the seconds; largest seconds and memory (MB). A
    backend or device is ``mixed`` where there are several.
    """
    rows = []
    for contrast, own in table.groupby("contrast"):
        kinds = [own[name].iloc[0] if len(set(own[name])) == 1 else "mixed" for name in ("backend", "device")]
        share, seconds = own["share_computed"].median(), own["seconds"].median()
        most = [own["seconds"].max(), own["peak_memory_mb"].max()]
        rows.append([contrast, len(own), *kinds, share, seconds, *most])
    return pd.DataFrame(rows, columns=list(BY_CONTRAST_COLUMNS))


def read_by_contrast(folder: Path) -> pd.DataFrame:
    """Read the file of a version; empty where its segmentation was not timed."""
    if not (folder / RESOURCES).is_file():
        return pd.DataFrame(columns=list(BY_CONTRAST_COLUMNS))
    return read_csv(folder / RESOURCES, text=("contrast", "backend", "device"))[list(BY_CONTRAST_COLUMNS)]
