"""What is to be checked: the drafts of a dataset on which nobody has decided, with their pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from ...base.errors import ImageError
from ...base.files import read_csv
from ...data.clones.commits import recorded_keys
from ...data.datasets.label import Label, read_label
from ...data.datasets.manifest import Manifest, locate
from ...images.volumes import read, read_on_grid
from ...workspace.withdrawal.holdings import CHECKED
from ..drafts.work import DRAFTS, REVIEWED, Work, require_masks
from .page import Item
from .panel import draw_panel

#: Table beside the page: which images come first, by `cordrift select`.
SELECTION = "selection.csv"


def open_drafts(work: Work) -> dict[str, tuple[str, str, Label]]:
    """Return the drafts on which nobody has decided: image -> (mask, content key of the mask, its label).

    The branch of the drafts is checked out afterwards, where there is one.

    Raises
    ------
    DatasetError
        A sidecar was changed, or the content of a mask is not there.
    """
    decided: set[str] = set()
    if work.has(REVIEWED):
        work.switch(REVIEWED)
        decided = set(work.masks())
    if not work.has(DRAFTS):
        return {}
    work.switch(DRAFTS)
    masks = [path for path in work.masks() if path not in decided]
    require_masks(work.path, masks)
    keys = recorded_keys(work.path, masks)
    labels = {path: read_label(work.path / path) for path in masks}
    found = {label.source: (path, keys[path], label) for path, label in labels.items() if label is not None}
    return {image: one for image, one in found.items() if image not in work.dataset.exclude_images}


def items_of(work: Work, manifest: Manifest, say: Callable[[str], object]) -> list[Item]:
    """Return the open drafts with their pictures; ``say`` is told of those that cannot be drawn.

    Parameters
    ----------
    work : the clone with the drafts
    manifest : the images without masks, fetched
    """
    drafts, chosen = open_drafts(work), read_chosen(page_of(work.name).with_name(SELECTION))
    people = {person.participant: person for person in manifest.participants}
    items = []
    cases = [case for case in manifest.case_list() if case.image in drafts]
    for case in tqdm(cases, desc=f"draw {manifest.dataset}", unit="image", disable=None):
        path, key, label = drafts[case.image]
        if manifest.keys[case.image] != label.source_key:
            say(f"{case.image} has changed since its mask was drafted; `cordrift annotate` drafts it again.")
            continue
        image_file = locate(manifest, case.image)
        try:
            image = read(image_file)
            mask = read_on_grid(work.path / path, image, image_file)
        except ImageError as error:
            say(str(error))
            continue
        person = people[case.participant]
        identity = (case.image, label.source_key, key, case.participant, case.session, case.contrast)
        known = (person.site, person.pathology, f"bundle {label.bundle[:12]}")
        rank, reason = chosen.get((case.image, key), (0, ""))
        panel = draw_panel(image, mask)
        items.append(Item(*identity, *known, label.doubts, label.uncertainty, panel, rank, reason))
    return items


def read_chosen(path: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """Return (image, content key of its mask) -> (rank, reason) of a selection; nothing where none was made."""
    if not path.is_file():
        return {}
    table = read_csv(path, text=("image", "mask_key", "reason"))
    rows = table.to_dict("records")
    return {(str(row["image"]), str(row["mask_key"])): (int(row["rank"]), str(row["reason"])) for row in rows}


def page_of(name: str) -> Path:
    """Return the page of a dataset in a workspace."""
    return CHECKED / name / "index.html"
