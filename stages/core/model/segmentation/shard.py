"""One shard of a monitored dataset: segment every image of it and write the manifest with the result of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ...base.errors import ImageError
from ...base.files import write_csv, write_json
from ...data.datasets.findings import Checked
from ...data.datasets.manifest import Case, Manifest, locate
from ...images.volumes import Volume, read
from ...tables.resources import RESOURCES, RESOURCES_COLUMNS
from ..spread.cluster import spread
from ..spread.steps import Once, Steps
from .found import LOCALISER_CHECK, Found, Searching
from .hardware import peak_memory_mb
from .masks import mask_stem, write_description, write_masks
from .predictions import EMPTY_MASK, STOPPED
from .settings import Segment


def segment_shard(
    folder: Path,
    shard: int,
    participants: Collection[str],
    manifest: Manifest,
    checked: Checked,
    series: dict[str, str],
    settings: Segment,
    make_search: Callable[[], Searching],
) -> None:
    """Segment the monitored cases of some participants; write their masks and ``manifest.json`` into ``folder``.

    ``resources.csv`` says what each image took. It differs from run to run, so that it is no part of the manifest.

    A case that fails gets a row with its reason, and the other cases are segmented.

    Parameters
    ----------
    folder : empty folder of the shard
    shard : number of the shard, from 0
    participants : ids of the participants of this shard
    manifest, checked : output of the stages `fetch` and `check` for the dataset
    series : digests ``bundle`` and ``inference``
    settings : its contrasts and its threshold are used here
    make_search : returns the function that segments a volume; called once in a process, at the first image,
        because nnU-Net takes seconds to start

    Raises
    ------
    DatasetError
        A file of the clone is not as it was fetched.
    """
    cases = [case for case in manifest.case_list() if case.contrast in settings.contrasts]
    work = [case for case in cases if case.participant in participants]
    search = Once(make_search)

    def load(case: Case) -> tuple[Path, Volume] | str:
        if errors := checked.errors(case):
            return STOPPED + errors[0]
        image = locate(manifest, case.image)  # raises where the clone is not as it was fetched, and stops the shard
        try:
            return image, read(image)
        except ImageError as error:  # an image that cannot be read fails alone, not with its whole shard
            return str(error)

    def predict(_: Case, loaded: tuple[Path, Volume] | str) -> tuple[Path, Found, float] | str:
        if isinstance(loaded, str):
            return loaded
        image, volume = loaded
        try:
            segment = search()
            begin = time.monotonic()
            found = segment(volume)
            seconds = time.monotonic() - begin
        except ImageError as error:
            return str(error)
        return (image, found, seconds) if (found.soft >= settings.threshold).any() else EMPTY_MASK

    def write(case: Case, computed: tuple[Path, Found, float] | str) -> tuple[dict[str, Any], list[Any] | None]:
        entry: dict[str, Any] = {"dataset": case.dataset, "participant": case.participant}
        entry |= {"session": case.session, "contrast": case.contrast, "binary": None, "soft": None}
        entry |= {"warnings": checked.warnings(case), "status": "failed"}
        if isinstance(computed, str):
            return {**entry, "reason": computed}, None
        image, found, seconds = computed
        origin = {"Sources": [f"bids:{case.dataset}:{case.image}"], **series, **found.doubts}
        entry["warnings"] += [LOCALISER_CHECK] if found.doubts else []
        names = write_masks(folder, mask_stem(case), image, found.regions, settings.threshold, origin)
        took: list[Any] = [
            case.dataset,
            case.participant,
            case.session,
            case.contrast,
            settings.backend,
            settings.device,
        ]
        took += [round(found.share, 4), round(seconds, 3), peak_memory_mb()]
        return {**entry, **names, "status": "ok", "reason": ""}, took

    def lost(case: Case, why: str) -> tuple[dict[str, Any], list[Any] | None]:
        return write(case, f"{why}.")

    write_description(folder, series["bundle"])
    steps = Steps(load, predict, write, lost)
    done = spread(work, steps, settings.scheduler, threads=settings.threads, folder=folder)
    said = f"segment {manifest.dataset}, shard {shard}"
    results = list(tqdm(done, desc=said, total=len(work), unit="image"))
    entries = [entry for entry, _ in results]
    write_json(folder / "manifest.json", {"dataset": manifest.dataset, "shard": shard, **series, "cases": entries})
    rows = [took for _, took in results if took is not None]
    write_csv(folder / RESOURCES, pd.DataFrame(rows, columns=list(RESOURCES_COLUMNS)))
