"""The inputs of ``../shared/cases`` as datasets: each went wrong once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from stages import fetch
from stages.core.data.clones import annex
from stages.core.data.datasets.manifest import Manifest, read_manifest
from stages.core.images import volumes
from support.data_factory import SHARED, entry, workspace


def publish(folder: Path, source: Path) -> str:
    """Publish a plain folder as a dataset and return its commit."""
    shutil.copytree(source, folder, symlinks=True)
    annex.create(folder)
    return annex.save(folder, "as found", tag="r1")


def fetch_case(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str = "anat/{sub}_T2w") -> Manifest:
    folder = SHARED / "cases" / case
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the cases are given material, not part of the project")
    monkeypatch.chdir(tmp_path)
    commit = publish(tmp_path / "ds", folder / "bids")
    frozen = [(sub.name, "ds") for sub in sorted((folder / "bids").glob("sub-*"))]
    contrasts = {"T2w": {"image": f"{{sub}}/{pattern}.nii.gz"}}
    workspace(Path(), {"ds": entry(str(tmp_path / "ds"), commit, role="test") | {"contrasts": contrasts}}, frozen)
    fetch.main(["--dataset", "ds"])
    return read_manifest(Path("data/fetch/ds.json"))


def make_image(path: Path) -> None:
    volumes.write(path, np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.eye(4))
