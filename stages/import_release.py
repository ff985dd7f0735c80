"""Register the CSA table of an earlier release in MLflow, as a version that is shown and judges no other version.

The table is the one that `sct_process_segmentation` writes and that earlier releases publish
(csa_c2c3__model_<tag>.csv).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from .core.base.errors import SettingsError, run
from .core.data.datasets.settings import Monitored
from .core.drift.versions.settings import Register
from .core.measures.published.release_table import read_release
from .core.store.client import open_store
from .core.store.imported_version import import_version


def main(arguments: Sequence[str] | None = None) -> None:
    """Register the release and print how many rows were read."""
    parser = argparse.ArgumentParser(prog="cordrift import-release", description=__doc__)
    parser.add_argument("table", type=Path, metavar="CSV")
    parser.add_argument(
        "--version", required=True, help="as in the file names: v3.0 stands for sub-X_T1w_seg_v3.0.nii.gz"
    )
    parser.add_argument(
        "--dataset",
        help="name of the dataset of these participants in the registry (default: the one that is monitored)",
    )
    parser.add_argument("--model", help="registered model (default: register.model of params.yaml)")
    options = parser.parse_args(arguments)
    try:
        Version(options.version)
    except InvalidVersion:
        raise SettingsError(
            f"--version is {options.version!r}; expected a version such as v2.0, by which reports sort."
        ) from None
    datasets = Monitored.read().datasets
    if options.dataset is None and len(datasets) != 1:
        raise SettingsError(
            f"{', '.join(datasets)} are monitored; name the dataset of these participants with --dataset."
        )
    release = read_release(options.table, options.version, options.dataset or datasets[0])
    store = open_store(options.model or Register.read().model)
    version = import_version(store, release, options.table)
    print(
        f"{store.model} version {version.number} ({release.label}, imported): {release.cases} masks at "
        f"{release.range}; {release.empty} rows empty, {release.missing} masks without a row, {release.repeated} "
        "repeated rows. It was measured with another ruler: reports show it, and no version is judged against it."
    )


if __name__ == "__main__":
    run(main)
