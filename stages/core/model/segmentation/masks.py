"""Predicted masks as files of a BIDS derivative dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.files import whole_file
from ...data.datasets.manifest import Case
from ...images.volumes import write_like

#: The file by which BIDS knows a dataset.
DESCRIPTION = "dataset_description.json"


def mask_stem(case: Case) -> str:
    """Return ``<dataset>/<folder of the image>/<image name without ending>``."""
    return f"{case.dataset}/{case.image.removesuffix('.nii.gz')}"


def mask_paths(stem: str) -> dict[str, str]:
    """Return the names of the masks, ``binary`` and ``soft``, of the image with this stem."""
    return {"binary": f"{stem}_label-SC_seg.nii.gz", "soft": f"{stem}_label-SC_probseg.nii.gz"}


def write_masks(
    folder: Path,
    stem: str,
    image: Path,
    soft: NDArray[np.float32],
    threshold: float,
    origin: dict[str, Any],
    kinds: Sequence[str] = ("binary", "soft"),
) -> dict[str, str]:
    """Write the soft mask and the mask binarised at ``threshold`` on the grid of ``image``, with sidecars.

    Parameters
    ----------
    folder : where the masks go
    stem : path of the masks in the folder, without ending
    image : its file, whose grid and storage order the masks take
    soft : (nx, ny, nz) probability of cord in canonical axes, in [0, 1]
    threshold : voxels with at least this probability belong to the binary mask, in (0, 1)
    origin : for the sidecars: the image, and the digests ``bundle`` and ``inference`` of model and settings
    kinds : which of the two are written

    Returns
    -------
    dict
        ``binary`` and ``soft``: paths inside ``folder``.
    """
    paths = {kind: name for kind, name in mask_paths(stem).items() if kind in kinds}
    values: dict[str, NDArray[Any]] = {"binary": (soft >= threshold).astype(np.uint8), "soft": soft}
    types: dict[str, dict[str, Any]] = {
        "binary": {"Type": "ROI", "Threshold": threshold},
        "soft": {"Type": "Probabilistic"},
    }
    for kind, name in paths.items():
        # A mask beside its sidecar is whole, also where a process was killed: the mask comes last, in one step.
        (folder / name).unlink(missing_ok=True)
        write_sidecar(folder / name, {"SpatialReference": "orig", **origin, **types[kind]})
        write_like(folder / name, values[kind], image)
    return paths


def sidecar_of(mask: Path) -> Path:
    """Return the JSON beside a mask."""
    return mask.with_name(mask.name.replace(".nii.gz", ".json"))


def write_sidecar(mask: Path, value: dict[str, Any]) -> None:
    """Write the JSON beside a mask."""
    with whole_file(sidecar_of(mask)) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_description(folder: Path, bundle: str) -> None:
    """Write ``dataset_description.json`` of a BIDS derivative dataset that cordrift generated with this bundle."""
    value = {
        "Name": "Spinal cord masks predicted by cordrift",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "cordrift", "Description": f"bundle {bundle}"}],
    }
    with whole_file(folder / DESCRIPTION) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
