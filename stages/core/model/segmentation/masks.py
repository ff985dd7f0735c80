"""Predicted masks as files of a BIDS derivative dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.files import whole_file
from ...data.datasets.manifest import Case
from ...images.volumes import write_like


def mask_stem(case: Case) -> str:
    """Return ``<dataset>/<folder of the image>/<image name without ending>``."""
    return f"{case.dataset}/{case.image.removesuffix('.nii.gz')}"


def write_masks(
    folder: Path, case: Case, image: Path, soft: NDArray[np.float32], threshold: float, series: dict[str, Any]
) -> dict[str, str]:
    """Write the soft mask and the mask binarised at ``threshold`` on the grid of ``image``, with sidecars.

    Parameters
    ----------
    folder : folder of the shard
    case : the image that was segmented
    image : its file, whose grid and storage order the masks take
    soft : (nx, ny, nz) probability of cord in canonical axes, in [0, 1]
    threshold : voxels with at least this probability belong to the binary mask, in (0, 1)
    series : digests ``bundle`` and ``inference`` of the model and the settings that made the mask

    Returns
    -------
    dict
        ``binary`` and ``soft``: paths inside ``folder``.
    """
    stem = mask_stem(case)
    paths = {"binary": f"{stem}_label-SC_seg.nii.gz", "soft": f"{stem}_label-SC_probseg.nii.gz"}
    write_like(folder / paths["binary"], (soft >= threshold).astype(np.uint8), image)
    write_like(folder / paths["soft"], soft, image)
    sidecar = {"Sources": [f"bids:{case.dataset}:{case.image}"], "SpatialReference": "orig", **series}
    write_sidecar(folder / paths["binary"], {**sidecar, "Type": "ROI", "Threshold": threshold})
    write_sidecar(folder / paths["soft"], {**sidecar, "Type": "Probabilistic"})
    return paths


def write_sidecar(mask: Path, value: dict[str, Any]) -> None:
    """Write the JSON beside a mask."""
    with whole_file(mask.with_name(mask.name.replace(".nii.gz", ".json"))) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_description(folder: Path, bundle: str) -> None:
    """Write ``dataset_description.json`` of a BIDS derivative dataset that cordrift generated with this bundle."""
    value = {
        "Name": "Spinal cord masks predicted by cordrift",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "cordrift", "Description": f"bundle {bundle}"}],
    }
    with whole_file(folder / "dataset_description.json") as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
