"""Predicted masks as files of a BIDS derivative dataset."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.files import whole_file
from ...data.datasets.label import sidecar_of
from ...data.datasets.manifest import Case
from ...images.volumes import write_like

#: The region that every bundle finds.
CORD = "cord"
#: Region -> its label in the name of a mask, as the field writes it.
LABELS = {CORD: "SC", "lesion": "lesion"}
#: The file by which BIDS knows a dataset.
DESCRIPTION = "dataset_description.json"


def mask_stem(case: Case) -> str:
    """Return ``<dataset>/<folder of the image>/<image name without ending>``."""
    return f"{case.dataset}/{case.image.removesuffix('.nii.gz')}"


def mask_paths(stem: str, regions: Sequence[str] = (CORD,)) -> dict[str, str]:
    """Return the names of the masks of an image with this stem, ``binary`` and ``soft`` for the cord.

    Those of other regions are called ``lesion_binary`` and ``lesion_soft``.

    >>> mask_paths("sub-01_T2w", ["cord", "lesion"])["lesion_soft"]
    'sub-01_T2w_label-lesion_probseg.nii.gz'
    """
    return {
        _kind(region, kind): f"{stem}_label-{LABELS[region]}_{suffix}.nii.gz"
        for region in regions
        for kind, suffix in (("binary", "seg"), ("soft", "probseg"))
    }


def _kind(region: str, kind: str) -> str:
    return kind if region == CORD else f"{region}_{kind}"


def write_masks(
    folder: Path,
    stem: str,
    image: Path,
    regions: Mapping[str, NDArray[np.float32]],
    threshold: float,
    origin: dict[str, Any],
    kinds: Collection[str] | None = None,
) -> dict[str, str]:
    """Write the soft masks and the masks binarised at ``threshold`` on the grid of ``image``, with sidecars.

    Parameters
    ----------
    folder : where the masks go
    stem : path of the masks in the folder, without ending
    image : its file, whose grid and storage order the masks take
    regions : name -> (nx, ny, nz) probability in canonical axes, in [0, 1]
    threshold : voxels with at least this probability belong to the binary mask, in (0, 1)
    origin : for the sidecars: the image, and the digests ``bundle`` and ``inference`` of model and settings
    kinds : which of the names of :func:`mask_paths` are written; all of them if None

    Returns
    -------
    dict
        Paths inside ``folder``, as :func:`mask_paths` has them.
    """
    names = mask_paths(stem, list(regions))
    paths = {kind: name for kind, name in names.items() if kinds is None or kind in kinds}
    values: dict[str, NDArray[Any]] = {}
    types: dict[str, dict[str, Any]] = {}
    for region, soft in regions.items():
        values |= {_kind(region, "binary"): (soft >= threshold).astype(np.uint8), _kind(region, "soft"): soft}
        types |= {
            _kind(region, "binary"): {"Type": "ROI", "Threshold": threshold},
            _kind(region, "soft"): {"Type": "Probabilistic"},
        }
    for kind, name in paths.items():
        # A mask beside its sidecar is whole, also where a process was killed: the mask comes last, in one step.
        (folder / name).unlink(missing_ok=True)
        write_sidecar(folder / name, {"SpatialReference": "orig", **origin, **types[kind]})
        write_like(folder / name, values[kind], image)
    return paths


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
