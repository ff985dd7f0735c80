"""Measure the masks of images that were segmented a moment ago; an image without a mask keeps its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ...base.files import write_csv
from ...base.params import validate
from ...model.own_images.batch import FIGURES, TABLE, Segmented
from ...tables.flags import table_with_checks
from ..morphometry.settings import Measure
from .batch import RULER, Order, measure_batch
from .measurement import Labels, MeasuredFile, picture_name, rows_of_scope, unmeasured
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

    An image without a mask, or with an empty one, has a row in the table too: it is flagged ``failed``. The rows of an
    image also have ``check:NAME`` for each check that warns of it.

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
    found = [(one, disc) for one, disc in zip(done, discs, strict=True) if not one.lack]
    drawn: dict[Path, Path] = {}
    if found:
        masks = [one.masks["soft"] for one, _ in found]
        images = [one.image for one, _ in found]
        labels = [None if disc is None else Labels(disc, is_map=False, match_world=False) for _, disc in found]
        pictures = [folder / FIGURES / picture_name(masks, number) for number in range(len(masks))] if draw else []
        batch = measure_batch(Order(masks, labels, images, pictures, scope, None), params, warn)
        files |= dict(zip(images, batch.files, strict=True))
        drawn = {image: path for image, path in zip(images, pictures, strict=False) if path.is_file()}
    ordered = [_flagged(files[one.image], one.checks) for one in done]
    write_csv(folder / TABLE, pd.concat([rows_of_scope(file, scope, None) for file in ordered], ignore_index=True))
    cards = [
        Card(
            str(one.image),
            file.problem or result([file]),
            drawn.get(one.image),
            bad=bool(file.problem),
            doubts=one.doubts,
        )
        for one, file in zip(done, ordered, strict=True)
    ]
    return result(ordered), cards


def _flagged(file: MeasuredFile, checks: Sequence[str]) -> MeasuredFile:
    return replace(file, table=table_with_checks(file.table, checks))
