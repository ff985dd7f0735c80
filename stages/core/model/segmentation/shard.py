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
from ...images.volumes import Volume, read
from ..spread.cluster import spread
from ..spread.steps import Once, Steps
from .found import LOCALISER_CHECK, Found, Searching
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

    def predict(_: Case, loaded: tuple[Path, Volume] | str) -> tuple[Path, Found] | str:
        if isinstance(loaded, str):
            return loaded
        image, volume = loaded
        try:
            found = search()(volume)
        except ImageError as error:
            return str(error)
        return (image, found) if (found.soft >= settings.threshold).any() else EMPTY_MASK

    def write(case: Case, computed: tuple[Path, Found] | str) -> dict[str, Any]:
        entry: dict[str, Any] = {"dataset": case.dataset, "participant": case.participant}
        entry |= {"session": case.session, "contrast": case.contrast, "binary": None, "soft": None}
        entry |= {"warnings": checked.warnings(case), "status": "failed"}
        if isinstance(computed, str):
            return {**entry, "reason": computed}
        image, found = computed
        origin = {"Sources": [f"bids:{case.dataset}:{case.image}"], **series, **found.doubts}
        entry["warnings"] += [LOCALISER_CHECK] if found.doubts else []
        names = write_masks(folder, mask_stem(case), image, found.regions, settings.threshold, origin)
        return {**entry, **names, "status": "ok", "reason": ""}

    def lost(case: Case, why: str) -> dict[str, Any]:
        return write(case, f"{why}.")

    write_description(folder, series["bundle"])
    steps = Steps(load, predict, write, lost)
    done = spread(work, steps, settings.scheduler, threads=settings.threads, folder=folder)
    said = f"segment {manifest.dataset}, shard {shard}"
    results = list(tqdm(done, desc=said, total=len(work), unit="image"))
    write_json(folder / "manifest.json", {"dataset": manifest.dataset, "shard": shard, **series, "cases": results})
