"""Measure mask files of the user, without a pipeline, with the same ruler as the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...base.errors import ImageError, SettingsError
from ...base.files import whole_file
from ...images.fault import Fault
from ...images.header import faults_of_header, read_header
from ...images.mask_values import faults_of_values
from ...images.volumes import Volume, read, read_on_grid
from ...tables.columns import MEASURES_COLUMNS
from ...tables.flags import table_with_checks
from ...tables.names import file_name
from ..morphometry.csa import Sections, measure_sections
from ..morphometry.levels import Discs, on_grid, range_name, read_discs, read_map
from ..morphometry.ruler import ruler_id
from ..morphometry.settings import Measure
from ..morphometry.table import failed_row, tabulate
from .template import onto_template

#: What one bad file may raise. It must not cost the measures of the others.
UNREADABLE = (ImageError, OSError, ValueError, ArithmeticError, MemoryError, TypeError)


@dataclass(frozen=True)
class Labels:
    """A file that shows the vertebrae.

    Attributes
    ----------
    is_map : whether it is a map of levels; otherwise it holds disc labels
    match_world : whether it may lie on another grid than the mask and is brought to it by world coordinates
    """

    path: Path
    is_map: bool
    match_world: bool

    def read(self, mask: Volume, mask_path: Path) -> Discs:
        """Return the heights of the discs in slices of the mask.

        Raises
        ------
        ImageError
            The file is unreadable or of another participant, lies on another grid, contradicts itself, or holds no
            label.
        """
        self._require_same_person(mask_path)
        labels = read(self.path)
        what = "levels map" if self.is_map else "disc labels"
        try:
            if not self.match_world:
                on_grid(labels, mask, what)
            into = mask if self.match_world else None
            discs = read_map(labels, into) if self.is_map else read_discs(labels, into)
        except ImageError as error:
            raise ImageError(f"{self.path} (for {mask_path}): {error}") from error
        if not discs.slices:
            raise ImageError(f"{self.path} holds no {what} of vertebrae C1 to S1; expected at least two discs.")
        return discs

    def _require_same_person(self, mask_path: Path) -> None:
        """Refuse labels whose name says that they are of another participant, or brought from another session."""
        mine, of_mask = file_name(self.path.name), file_name(mask_path.name)
        if mine is None or of_mask is None:
            return
        same = mine.participant == of_mask.participant
        if not same or (self.match_world and mine.session != of_mask.session):
            what = "participant" if not same else "session, between which people move,"
            raise ImageError(
                f"{self.path} is of another {what} than {mask_path}, as the two names say; give the labels of the same "
                "image, or rename a file whose name is wrong."
            )


@dataclass(frozen=True)
class MeasuredFile:
    """Everything that was measured in one file.

    Attributes
    ----------
    table : rows of all scopes, or one row that is flagged ``failed``; participant, session and contrast where the
        name of the file says them
    mask, sections : None where the file could not be measured
    problem : why it could not be measured; otherwise empty
    remark : what to know about it although it was measured; otherwise empty
    range_remark : why its range has no value although the file was measured; otherwise empty
    """

    path: Path
    table: pd.DataFrame
    mask: Volume | None = None
    sections: Sections | None = None
    problem: str = ""
    remark: str = ""
    range_remark: str = ""


def measure_file(path: Path, labels: Labels | None, params: Measure, *, template: bool = False) -> MeasuredFile:
    """Measure one mask: rows of all scopes, with its path in the column ``mask``.

    Parameters
    ----------
    path : file of the mask
    labels : its vertebrae, or None
    params : parameters of the ruler
    template : whether to add rows of scope ``pam50``

    Raises
    ------
    ImageError
        The mask or the labels cannot be read or measured, or it is not the mask of a cord; the message names the file.
    """
    mask = read(path)
    faults = [*_header_faults(path), *faults_of_values(mask)]
    wrong = next((fault for fault in faults if fault.severity == "error"), None)
    if wrong is not None:
        raise ImageError(f"{path} {wrong.message}; expected {wrong.expected}.")
    try:
        sections = measure_sections(mask, stiffness_mm=params.stiffness_mm)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    discs = None if labels is None else labels.read(mask, path)
    table = tabulate(sections, discs, params, mask.data.shape[2])
    if template and discs is not None:
        table = pd.concat([table, onto_template(table, discs)], ignore_index=True)
    remark = " ".join(f"{path} {fault.message}; expected {fault.expected}." for fault in faults)
    of_range = "" if labels is None or discs is None else _missing_discs(labels.path, discs, params)
    table = table_with_checks(table, {fault.check for fault in faults})
    return MeasuredFile(path, _named(table, path, params), mask, sections, remark=remark, range_remark=of_range)


def _missing_discs(path: Path, discs: Discs, params: Measure) -> str:
    """Return a sentence where the file lacks a disc at the top or bottom of the range, which has no value then."""
    needed = [params.levels[0], params.levels[-1] + 1]
    missing = [str(disc) for disc in needed if disc not in discs.slices]
    if not missing:
        return ""
    held = ", ".join(map(str, discs.slices))
    return (
        f"{range_name(params.levels)} lies between disc {needed[0]} and disc {needed[1]}, and {path} has no disc "
        f"{' and no disc '.join(missing)} (it has {held}): the range has no value. Add the label, or name another "
        "range with --levels."
    )


def _header_faults(path: Path) -> list[Fault]:
    """Return what the header of a NIfTI file says against itself; other formats have one affine and mm."""
    if not path.name.endswith((".nii", ".nii.gz")):
        return []
    header, faults = read_header(path)
    return faults if header is None else faults_of_header(header)


def measure_files(
    paths: Sequence[Path], labels: Sequence[Labels | None], params: Measure, *, template: bool = False
) -> Iterator[MeasuredFile]:
    """Measure masks one after the other. A mask that fails gives a row without numbers, flagged ``failed``.

    Parameters
    ----------
    paths : files of the masks
    labels : the vertebrae of each mask, or None
    params : parameters of the ruler
    template : whether to add rows of scope ``pam50``
    """
    for path, label in zip(paths, labels, strict=True):
        try:
            yield measure_file(path, label, params, template=template)
        except UNREADABLE as error:
            yield unmeasured(path, params, _sentence(path, error))


def unmeasured(path: Path, params: Measure, problem: str) -> MeasuredFile:
    """Return the row of a mask that has no numbers, or that is not there at all: it is flagged ``failed``."""
    return MeasuredFile(path, _named(failed_row(params.levels), path, params), problem=problem)


def _sentence(path: Path, error: BaseException) -> str:
    """Return why a mask could not be measured; libraries' own errors do not name the file."""
    if isinstance(error, ImageError):
        return str(error)
    return f"{path} cannot be measured: {error or type(error).__name__} ({type(error).__name__})."


def one_each(files: Sequence[Path] | None, masks: Sequence[Path], option: str) -> list[Path | None]:
    """Return one file for each mask: None where ``files`` is None, the same file for all masks, or one for each.

    >>> one_each([Path("discs.nii")], [Path("a.nii"), Path("b.nii")], "--discs")[1].name
    'discs.nii'

    Raises
    ------
    SettingsError
        There is another number of files.
    """
    if files is None:
        return [None] * len(masks)
    if len(files) not in {1, len(masks)}:
        raise SettingsError(f"{option} must name one file, or one for each of {len(masks)} masks, not {len(files)}.")
    return [files[0]] * len(masks) if len(files) == 1 else list(files)


def rows_of_scope(measured: MeasuredFile, scope: str, levels: Sequence[int] | None) -> pd.DataFrame:
    """Return the rows of one scope, with ``levels`` only of these vertebrae. A mask that failed keeps its row."""
    table = measured.table
    if measured.problem:
        return table
    rows = table["scope"] == scope
    if levels is not None and scope != "range":
        rows &= table["level"].isin(list(levels))
    return table[rows]


def picture_name(masks: Sequence[Path], number: int) -> str:
    """Return the file name of the picture of one of the masks; it begins with a number where two masks share a name.

    >>> picture_name([Path("a/seg.nii.gz"), Path("b/seg.nii.gz"), Path("other.nii")], 1)
    '002_seg.png'
    """
    names = [path.name.removesuffix(".gz").removesuffix(".nii") for path in masks]
    prefix = f"{number + 1:03d}_" if names.count(names[number]) > 1 else ""
    return f"{prefix}{names[number]}.png"


def write_picture(measured: MeasuredFile, path: Path, image: Path | None) -> None:
    """Write the picture of a measured mask.

    Raises
    ------
    ImageError
        The image is unreadable or lies on another grid, or the mask was not measured.
    """
    # Matplotlib takes a second to load, so it is loaded only where something is drawn.
    from .picture import picture

    if measured.mask is None or measured.sections is None:
        raise ImageError(f"{measured.path} was not measured: {measured.problem}")
    shown = None if image is None else read_on_grid(image, measured.mask, measured.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_bytes(picture(measured.mask, measured.sections, measured.table, title=path.stem, image=shown))


def _named(table: pd.DataFrame, path: Path, params: Measure) -> pd.DataFrame:
    name = file_name(path.name)
    identity = {} if name is None else {key: getattr(name, key) for key in ("participant", "session", "contrast")}
    return table.assign(mask=str(path), ruler=ruler_id(params), **identity)[list(MEASURES_COLUMNS)]
