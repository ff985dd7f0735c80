"""Measure the masks of images that were segmented a moment ago; an image without a mask keeps its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ...base.files import write_csv
from ...base.params import validate
from ...model.own_images.batch import FIGURES, TABLE, Segmented
from ..morphometry.settings import Measure
from .batch import RULER, Order, measure_batch
from .measurement import Labels, picture_name, rows_of_scope, unmeasured
from .page import Card
from .result import result


def measure_segmented(
    done: Sequence[Segmented],
    discs: Sequence[Path | None],
    folder: Path,
    warn: Callable[[str], object],
    *,
    draw: bool,
) -> tuple[str, list[Card]]:
    """Measure the soft masks with the pipeline's ruler, and write the table.

    An image without a mask, or with an empty one, has a row in the table too: it is flagged ``failed``.

    Parameters
    ----------
    done : the images, with their soft masks
    discs : disc labels of each, or None; where no image has any, the rows are of slices
    folder : gets the table, and the pictures
    warn : receives a sentence about each fault
    draw : whether each mask is drawn

    Returns
    -------
    The result in a line, and for each image what a page says of it.
    """
    params: Measure = validate(Measure, RULER, "the ruler")
    scope = "range" if any(discs) else "slice"
    files = {one.image: unmeasured(one.masks["soft"], params, one.lack) for one in done if one.lack}
    tables = [rows_of_scope(file, scope, None) for file in files.values()]
    found = [(one, disc) for one, disc in zip(done, discs, strict=True) if not one.lack]
    drawn: dict[Path, Path] = {}
    if found:
        masks = [one.masks["soft"] for one, _ in found]
        images = [one.image for one, _ in found]
        labels = [None if disc is None else Labels(disc, is_map=False, match_world=False) for _, disc in found]
        pictures = [folder / FIGURES / picture_name(masks, number) for number in range(len(masks))] if draw else []
        batch = measure_batch(Order(masks, labels, images, pictures, scope, None), params, warn)
        files |= dict(zip(images, batch.files, strict=True))
        tables.append(batch.table)
        drawn = {image: path for image, path in zip(images, pictures, strict=False) if path.is_file()}
    write_csv(folder / TABLE, pd.concat(tables, ignore_index=True))
    ordered = [(one.image, files[one.image]) for one in done]
    cards = [
        Card(str(image), file.problem or result([file]), drawn.get(image), bad=bool(file.problem))
        for image, file in ordered
    ]
    return result([file for _, file in ordered]), cards
