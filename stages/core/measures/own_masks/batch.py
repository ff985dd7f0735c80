"""Measure and draw a person's own masks one after the other; a bad file costs no other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ...base.errors import ImageError, SettingsError
from ..morphometry.settings import Measure
from .measurement import Labels, MeasuredFile, measure_files, rows_of_scope, write_picture

#: The settings of the ruler for a person's own masks, where nothing else is asked; those of the profiles.
RULER = {"levels": [2, 3], "coverage": 0.5, "stiffness_mm": 4.0}


@dataclass(frozen=True)
class Order:
    """What to measure: a mask, its labels and the image under its picture have the same place in their lists.

    Attributes
    ----------
    labels, images : None for a mask without
    pictures : files to draw; empty for none
    scope : of the rows: ``range``, ``level``, ``slice`` or ``pam50``
    only_levels : vertebrae to which the rows are restricted; None for all
    """

    masks: Sequence[Path]
    labels: Sequence[Labels | None]
    images: Sequence[Path | None]
    pictures: Sequence[Path]
    scope: str
    only_levels: Sequence[int] | None


@dataclass(frozen=True)
class Batch:
    """What was measured, without voxels; its rows; how many masks failed, and how many pictures."""

    files: list[MeasuredFile]
    table: pd.DataFrame
    failed: int
    undrawn: int


def measure_batch(order: Order, params: Measure, warn: Callable[[str], object]) -> Batch:
    """Measure the masks of an order and draw their pictures; ``warn`` receives a sentence about each fault."""
    files, undrawn = [], 0
    measured = measure_files(order.masks, order.labels, params, template=order.scope == "pam50")
    for number, file in enumerate(tqdm(measured, total=len(order.masks), unit="mask", disable=None)):
        of_range = file.range_remark if order.scope == "range" else ""
        for sentence in filter(None, (file.problem, file.remark, of_range)):
            warn(sentence)
        if not file.problem and order.pictures:
            try:
                write_picture(file, order.pictures[number], order.images[number])
            except ImageError as error:
                undrawn += 1
                warn(f"no picture of {file.path}: {error}")
        files.append(replace(file, mask=None, sections=None))  # the voxels are needed no more
    table = pd.concat([rows_of_scope(file, order.scope, order.only_levels) for file in files], ignore_index=True)
    return Batch(files, table, sum(bool(file.problem) for file in files), undrawn)


def refuse_existing(paths: Sequence[Path]) -> None:
    """Refuse to replace a file.

    Raises
    ------
    SettingsError
        One of them exists.
    """
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise SettingsError(f"{', '.join(there[:3])} exists already; name another file, or add --force to replace it.")
