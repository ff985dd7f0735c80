"""Keep the predicted masks of a segmented frozen set, so that they can be measured again with another ruler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...base.files import sha256_of, write_json
from ...data.datasets.manifest import CLONES, Case, Manifest, locate
from ...images.volumes import Volume, read, read_on_grid
from ...model.segmentation.predictions import Prediction, Segmentation, id_of_case, monitored_cases
from .layout import KEPT_INDEX, KeptEntry, KeptIndex, KeptMask, MaskKind, keep


def keep_masks(
    manifests: list[Manifest], segmentation: Segmentation, contrasts: list[str], folder: Path, clones: Path = CLONES
) -> list[tuple[str, Path]]:
    """Write every predicted mask in its kept form, and ``kept.json``; return name and file of each, sorted.

    References are not kept: they belong to the frozen set and are the same for every version.

    Parameters
    ----------
    manifests : of the test datasets
    segmentation : predictions of one bundle on these datasets
    contrasts : the contrasts that are monitored
    folder : folder to write into
    clones : folder of the datasets' clones

    Raises
    ------
    BundleError
        The segmentation belongs to another set of cases.
    DatasetError
        A file of a clone is missing or edited.
    ImageError
        A file is unreadable or lies on another grid.
    """
    cases = []
    for manifest, case in tqdm(
        monitored_cases(manifests, contrasts, segmentation), desc="masks", unit="case", disable=None
    ):
        cases.append(_keep_case(manifest, case, segmentation.predictions[id_of_case(case)], folder, clones))
    index = KeptIndex(bundle=segmentation.bundle, inference=segmentation.inference, cases=cases)
    write_json(folder / KEPT_INDEX, index.model_dump(mode="json"))
    names = {KEPT_INDEX, *(mask.file for case in cases for mask in case.masks.values())}
    return [(name, folder / name) for name in sorted(names)]


def _keep_case(manifest: Manifest, case: Case, prediction: Prediction, folder: Path, clones: Path) -> KeptEntry:
    masks: dict[MaskKind, KeptMask] = {}
    grid: tuple[Volume, Path] | None = None
    sources: list[tuple[MaskKind, Path | None]] = [("binary", prediction.binary), ("soft", prediction.soft)]
    for kind, path in sources:
        if path is not None:
            name = prediction.names[kind]
            mask = read_on_grid(path, *grid) if grid else read(path)
            masks[kind] = keep(mask, folder / name, name, sha256_of(path))
            grid = grid or (mask, path)
    discs = None
    if grid and case.discs:  # a case without a mask needs no labels
        labels = read_on_grid(locate(manifest, case.discs, clones), *grid).data
        discs = [(float(labels[i, j, k]), i, j, k) for i, j, k in np.argwhere(labels != 0).tolist()]
    return KeptEntry(
        dataset=case.dataset,
        participant=case.participant,
        session=case.session,
        contrast=case.contrast,
        reason=prediction.reason,
        warnings=list(prediction.warnings),
        masks=masks,
        discs=discs,
    )
