"""The drafts that are ranked, with their features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from tqdm import tqdm

from ...base.errors import DatasetError, ImageError
from ...data.datasets.manifest import Manifest, locate
from ...data.inspection.features import image_features
from ...images.volumes import read, read_on_grid
from ..drafts.work import Work
from ..review.items import open_drafts


def drafts_to_rank(work: Work, manifest: Manifest, say: Callable[[str], object], *, features: bool) -> pd.DataFrame:
    """Return the open drafts as ``rank_images`` takes them; ``say`` is told of images that cannot be read.

    Parameters
    ----------
    work : the clone with the drafts
    manifest : the images without masks, fetched
    say : receives a sentence for each image that is left out
    features : whether the features of the images are computed

    Raises
    ------
    DatasetError
        There is no open draft.
    """
    drafts = open_drafts(work)
    rows = []
    cases = [case for case in manifest.case_list() if case.image in drafts]
    for case in tqdm(cases, desc="features", unit="image", disable=None if features else True):
        path, key, label = drafts[case.image]
        row: dict[str, Any] = {"image": case.image, "mask_key": key, "contrast": case.contrast}
        row |= {"uncertainty": label.uncertainty, "doubts": len(label.doubts)}
        if features:
            image_file = locate(manifest, case.image)
            try:
                image = read(image_file)
                row |= image_features(image, read_on_grid(work.path / path, image, image_file).data >= 0.5)
            except ImageError as error:
                say(str(error))
                continue
        rows.append(row)
    if not rows:
        raise DatasetError(f"no draft of {work.name} waits for a decision; `cordrift annotate {work.name}` makes them.")
    return pd.DataFrame(rows)
