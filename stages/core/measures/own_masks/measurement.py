"""Measure masks that lie somewhere on the disk, without a pipeline: the same ruler, one file after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...base.errors import CordriftError
from ...base.files import whole_file
from ...images.volumes import Volume, read, read_on_grid
from ...tables.columns import MEASURES_COLUMNS
from ..morphometry.csa import Sections, measure_sections
from ..morphometry.labels import on_grid, read_discs, read_map
from ..morphometry.levels import Discs
from ..morphometry.ruler import ruler_id
from ..morphometry.settings import Measure
from ..morphometry.table import failed_row, tabulate
from .template import onto_template


@dataclass(frozen=True)
class Labels:
    """Where the vertebrae are: a file of disc labels, or (``is_map``) of levels.

    ``match_world``: it lies on another grid than the mask and is brought to it by world coordinates.
    """

    path: Path
    is_map: bool
    match_world: bool

    def read(self, mask: Volume, mask_path: Path) -> Discs:
        """Heights of the discs in slices of the mask.

        Raises
        ------
        CordriftError
            Unreadable, on another grid, contradictory, or without a single label.
        """
        labels = read(self.path)
        what = "levels map" if self.is_map else "disc labels"
        try:
            if not self.match_world:
                on_grid(labels, mask, what)
            into = mask if self.match_world else None
            discs = read_map(labels, into) if self.is_map else read_discs(labels, into)
        except CordriftError as error:
            raise CordriftError(f"{self.path} (for {mask_path}): {error}") from error
        if not discs.slices:
            raise CordriftError(f"{self.path} holds no {what} of vertebrae C1 to S1; expected at least two discs.")
        return discs


@dataclass(frozen=True)
class Measured:
    """Everything that was measured of one file; ``problem`` says why it could not be, else it is empty."""

    path: Path
    table: pd.DataFrame
    mask: Volume | None = None
    sections: Sections | None = None
    problem: str = ""


def measure_file(path: Path, labels: Labels | None, params: Measure, *, template: bool = False) -> Measured:
    """Measure one mask: all scopes, the column ``mask`` is its path.

    Raises
    ------
    CordriftError
        A mask or labels that cannot be read or measured; names the file.
    """
    mask = read(path)
    try:
        sections = measure_sections(mask, stiffness_mm=params.stiffness_mm)
    except CordriftError as error:
        raise CordriftError(f"{path}: {error}") from error
    discs = None if labels is None else labels.read(mask, path)
    table = tabulate(sections, discs, params, mask.data.shape[2])
    if template and discs is not None:
        table = pd.concat([table, onto_template(table, discs)], ignore_index=True)
    return Measured(path, _named(table, path, params), mask, sections)


def measure_files(
    paths: Sequence[Path], labels: Sequence[Labels | None], params: Measure, *, template: bool = False
) -> Iterator[Measured]:
    """Measure masks one after the other; of one that fails comes a row without numbers, flagged ``failed``.

    Parameters
    ----------
    labels : one for each mask
    """
    for path, label in zip(paths, labels, strict=True):
        try:
            yield measure_file(path, label, params, template=template)
        except CordriftError as error:
            yield Measured(path, _named(failed_row(params.levels), path, params), problem=str(error))


def one_each(files: Sequence[Path] | None, masks: Sequence[Path], option: str) -> list[Path | None]:
    """One file for each mask: none, the same one for all, or as many as masks.

    Raises
    ------
    CordriftError
        Another number of files.
    """
    if files is None:
        return [None] * len(masks)
    if len(files) not in {1, len(masks)}:
        raise CordriftError(f"{option} must name one file, or one for each of {len(masks)} masks, not {len(files)}.")
    return [files[0]] * len(masks) if len(files) == 1 else list(files)


def chosen(measured: Measured, scope: str, levels: Sequence[int] | None) -> pd.DataFrame:
    """Rows of one scope; with ``levels``, only those of these vertebrae. A mask that failed keeps its row."""
    table = measured.table
    if measured.problem:
        return table
    rows = table["scope"] == scope
    if levels is not None and scope != "range":
        rows &= table["level"].isin(list(levels))
    return table[rows]


def picture_name(masks: Sequence[Path], number: int) -> str:
    """File name of the picture of one of the masks, as the mask's; numbered where two masks have one name."""
    names = [path.name.removesuffix(".gz").removesuffix(".nii") for path in masks]
    prefix = f"{number + 1:03d}_" if names.count(names[number]) > 1 else ""
    return f"{prefix}{names[number]}.png"


def draw(measured: Measured, path: Path, image: Path | None) -> None:
    """Draw the picture of a measured mask.

    Raises
    ------
    CordriftError
        An image that is unreadable or on another grid.
    """
    # Matplotlib takes a second to load, which nobody needs who draws nothing.
    from .picture import picture

    if measured.mask is None or measured.sections is None:
        raise CordriftError(f"{measured.path} was not measured: {measured.problem}")
    shown = None if image is None else read_on_grid(image, measured.mask, measured.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_bytes(picture(measured.mask, measured.sections, measured.table, title=path.stem, image=shown))


def _named(table: pd.DataFrame, path: Path, params: Measure) -> pd.DataFrame:
    return table.assign(mask=str(path), ruler=ruler_id(params))[list(MEASURES_COLUMNS)]
