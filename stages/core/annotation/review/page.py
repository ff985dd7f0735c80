"""The page on which a person checks drafted masks: one file, without a server."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...base.files import digest_of, whole_file
from ...pages.templates import style, templates
from .marks import TAGS
from .panel import Panel


@dataclass(frozen=True)
class Item:
    """One mask on the page.

    Attributes
    ----------
    image : path of the image in the dataset
    image_key, mask_key : content keys of the image and the mask
    participant, session, contrast, site, pathology : of the image; ``""`` where it is not known
    model : what drafted the mask
    doubts : what speaks against the mask, a sentence each
    uncertainty : of the model, in bits per voxel of cord; NaN where it is not known
    panel : its picture
    rank, reason : place among those that `cordrift select` chose, from 1, and why; 0 for the others
    """

    image: str
    image_key: str
    mask_key: str
    participant: str
    session: str
    contrast: str
    site: str
    pathology: str
    model: str
    doubts: Sequence[str]
    uncertainty: float
    panel: Panel
    rank: int = 0
    reason: str = ""

    def value(self) -> dict[str, Any]:
        """Return what the page needs, as JSON holds it."""
        names = ("image", "image_key", "mask_key", "participant", "session", "contrast", "site", "pathology", "model")
        picture = "data:image/jpeg;base64," + base64.b64encode(self.panel.jpeg).decode("ascii")
        size = {"width": self.panel.width, "height": self.panel.height, "outline": self.panel.outline}
        known = self.uncertainty == self.uncertainty
        said = f"uncertainty {self.uncertainty:.2f} bits per voxel of cord" if known else ""
        chosen = f"chosen as number {self.rank}: {self.reason}" if self.rank else ""
        more = {"chosen": chosen, "doubts": list(self.doubts), "uncertainty": said, "picture": picture}
        return {name: getattr(self, name) for name in names} | more | size


def _place(item: Item) -> tuple[float, bool, float, str]:
    return item.rank or math.inf, not item.doubts, -float(np.nan_to_num(item.uncertainty)), item.image


def write_review_page(path: Path, dataset: str, url: str, items: Sequence[Item]) -> None:
    """Write the page: chosen masks first, then those in doubt, then those of which the model was least certain.

    Parameters
    ----------
    path : the page
    dataset, url : name and address of the dataset
    items : the masks, at least one
    """
    ordered = sorted(items, key=_place)
    # The browser keeps marks under this name, so that those of other datasets do not mix with them.
    batch = digest_of([dataset, url])[:16]
    data = {"dataset": dataset, "batch": batch, "tags": list(TAGS), "items": [item.value() for item in ordered]}
    page = templates().get_template("qc.html").render(css=style(), dataset=dataset, items=items, data=data)
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")
