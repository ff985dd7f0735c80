"""One shard of a monitored dataset: segment every image of it and write the manifest with the result of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...base.errors import ImageError
from ...base.files import write_json
from ...data.datasets.findings import Checked
from ...data.datasets.manifest import Case, Manifest, locate
from ...images.volumes import read
from .masks import mask_stem, write_description, write_masks
from .predictions import EMPTY_MASK, STOPPED
from .predictor import Predict
from .settings import Segment


def segment_shard(
    folder: Path,
    shard: int,
    participants: Collection[str],
    manifest: Manifest,
    checked: Checked,
    series: dict[str, str],
    settings: Segment,
    make_predictor: Callable[[], Predict],
) -> None:
    """Segment the monitored cases of some participants; write their masks and ``manifest.json`` into ``folder``.

    A case that fails gets a row with its reason, and the other cases are segmented.

    Parameters
    ----------
    folder : empty folder of the shard
    shard : number of the shard, from 0
    participants : ids of the participants of this shard
    manifest, checked : output of the stages `fetch` and `check` for the dataset
    series : digests ``bundle`` and ``inference``
    settings : its contrasts and its threshold are used here
    make_predictor : returns the function that segments a volume; called once, at the first image, because nnU-Net
        takes seconds to start

    Raises
    ------
    DatasetError
        A file of the clone is not as it was fetched.
    """
    cases = [case for case in manifest.case_list() if case.contrast in settings.contrasts]
    work = [case for case in cases if case.participant in participants]
    predict: Predict | None = None
    write_description(folder, series["bundle"])
    results = []
    for case in tqdm(work, desc=f"segment {manifest.dataset}, shard {shard}", unit="image"):
        entry: dict[str, Any] = {"dataset": case.dataset, "participant": case.participant}
        entry |= {"session": case.session, "contrast": case.contrast, "binary": None, "soft": None}
        entry |= {"warnings": checked.warnings(case), "status": "failed"}
        if errors := checked.errors(case):
            results.append({**entry, "reason": STOPPED + errors[0]})
            continue
        image = locate(manifest, case.image)  # raises where the clone is not as it was fetched, and stops the shard
        predict = predict or make_predictor()
        results.append({**entry, **_segment(folder, case, image, series, settings, predict)})
    write_json(folder / "manifest.json", {"dataset": manifest.dataset, "shard": shard, **series, "cases": results})


def _segment(
    folder: Path, case: Case, image: Path, series: dict[str, str], settings: Segment, predict: Predict
) -> dict[str, str]:
    """Segment one image and return its result. An image that cannot be read fails alone, not with its whole shard."""
    try:
        soft = predict(read(image))
    except ImageError as error:
        return {"reason": str(error)}
    if not (soft >= settings.threshold).any():
        return {"reason": EMPTY_MASK}
    origin = {"Sources": [f"bids:{case.dataset}:{case.image}"], **series}
    names = write_masks(folder, mask_stem(case), image, soft, settings.threshold, origin)
    return {**names, "status": "ok", "reason": ""}
