"""One shard of a monitored dataset: every image through the bundle, and the manifest of what became of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ...base.errors import CordriftError
from ...base.files import write_json
from ...data.datasets.findings import Checked
from ...data.datasets.manifest import Case, Manifest, locate
from ...images import volumes
from .masks import write_description, write_masks
from .predictions import EMPTY, STOPPED
from .settings import Segment

Predict = Callable[[volumes.Volume], NDArray[np.float32]]


def segment_shard(
    folder: Path,
    shard: int,
    participants: Collection[str],
    manifest: Manifest,
    checked: Checked,
    series: dict[str, str],
    settings: Segment,
    predictor: Callable[[], Predict],
) -> None:
    """Segment the monitored cases of some participants; write their masks and ``manifest.json`` into ``folder``.

    A case that fails is a row with its reason, and the others go on.

    Parameters
    ----------
    folder : of the shard, empty
    shard : its number
    participants : ids of those whom the shard holds
    manifest, checked : of the dataset, as the stages fetch and check wrote them
    series : digests ``bundle`` and ``inference``
    settings : contrasts and threshold are used here
    predictor : makes what segments a volume; called at the first image, since nnU-Net takes seconds to start

    Raises
    ------
    CordriftError
        A file of the clone is not as it was fetched.
    """
    cases = [case for case in manifest.case_list() if case.contrast in settings.contrasts]
    work = [case for case in cases if case.participant in participants]
    predict: Predict | None = None
    write_description(folder, series["bundle"])
    done = []
    for case in tqdm(work, desc=f"segment {manifest.dataset}, shard {shard}", unit="image"):
        entry: dict[str, Any] = {"dataset": case.dataset, "participant": case.participant}
        entry |= {"session": case.session, "contrast": case.contrast, "binary": None, "soft": None}
        entry |= {"warnings": checked.warnings(case), "status": "failed"}
        if errors := checked.errors(case):
            done.append({**entry, "reason": STOPPED + errors[0]})
            continue
        image = locate(manifest, case.image)  # a clone that is not as fetched stops the shard
        predict = predict or predictor()
        done.append({**entry, **_segment(folder, case, image, series, settings, predict)})
    write_json(folder / "manifest.json", {"dataset": manifest.dataset, "shard": shard, **series, "cases": done})


def _segment(
    folder: Path, case: Case, image: Path, series: dict[str, str], settings: Segment, predict: Predict
) -> dict[str, str]:
    """Segment one image and say what became of it; an image that cannot be read is one failure, not a lost shard."""
    try:
        soft = predict(volumes.read(image))
    except CordriftError as error:
        return {"reason": str(error)}
    if not (soft >= settings.threshold).any():
        return {"reason": EMPTY}
    return {**write_masks(folder, case, image, soft, settings.threshold, series), "status": "ok", "reason": ""}
