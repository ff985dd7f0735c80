"""Check plain files, without a dataset: what their headers and voxels say against themselves and each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from ...base.errors import ImageError
from ...images.fault import Fault, error
from ...images.header import Header, faults_of_grid, faults_of_header, read_header
from ...images.volumes import is_lfs_pointer, is_pointer, read
from ...tables.names import FileName, file_name
from .limits import faults_of_limits
from .settings import Check
from .voxels import faults_of_discs, faults_of_image, faults_of_mask

Kind = Literal["image", "mask", "softmask", "discs"]
SUFFIXES = (".nii", ".nii.gz")
#: Limits of the params that come with the project, for a folder without a workspace.
LIMITS = Check(
    spacing_mm=[0.2, 20.0],
    oblique_deg=25.0,
    form_mm=0.5,
    component_share=0.01,
    clipped_share=0.01,
    outlier_z=5.0,
    outlier_n=8,
)


def kind_of(path: Path) -> Kind:
    """Return what a file holds, by the names that the field uses.

    >>> kind_of(Path("sub-01_T2w_label-discs_dlabel.nii.gz")), kind_of(Path("sub-01_T2w_seg.nii.gz"))
    ('discs', 'mask')
    """
    name = path.name.lower()
    if "disc" in name or "dlabel" in name:
        return "discs"
    if "softseg" in name and "desc-softseg" not in name:
        return "softmask"
    return "mask" if any(word in name for word in ("seg", "mask", "label-sc")) else "image"


def list_images(paths: Iterable[Path]) -> list[Path]:
    """Return the NIfTI files among some files and in some folders, sorted within each folder.

    Raises
    ------
    ImageError
        A path does not exist, is no NIfTI file, or is a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*.nii*") if p.name.endswith(SUFFIXES)) if path.is_dir() else [path]
        if not path.exists() and not path.is_symlink():
            raise ImageError(f"{path} does not exist; name a NIfTI file, or a folder with such files.")
        if not inside or not inside[0].name.endswith(SUFFIXES):
            raise ImageError(f"{path} {'holds no' if path.is_dir() else 'is no'} NIfTI file (.nii or .nii.gz).")
        found += inside
    return found


def inspect_files(paths: list[Path], params: Check) -> Iterator[tuple[Path, list[Fault]]]:
    """Yield each file with its faults. A mask or label is compared with the image of the same BIDS name.

    Parameters
    ----------
    paths : NIfTI files
    params : limits of the checks
    """
    headers: dict[tuple[str, str, str], Header] = {}
    for path in sorted(paths, key=lambda path: kind_of(path) != "image"):
        kind, name = kind_of(path), file_name(path.name)
        here = path.exists() and not is_pointer(path) and not is_lfs_pointer(path)
        header, faults = read_header(path) if here else (None, [])
        if header is not None:
            faults += faults_of_header(header, form_mm=params.form_mm)
            faults += faults_of_limits(header, params) if kind == "image" else []
            faults += _of_grid(headers, kind, name, header)
        yield path, [*faults, *_of_voxels(path, kind, params, readable=header is not None or not here)]


def _of_grid(
    headers: dict[tuple[str, str, str], Header], kind: Kind, name: FileName | None, header: Header
) -> list[Fault]:
    if name is None:
        return []
    key = (name.participant, name.session, name.contrast)
    if kind == "image":
        headers[key] = header
    return faults_of_grid(header, headers[key]) if kind != "image" and key in headers else []


def _of_voxels(path: Path, kind: Kind, params: Check, *, readable: bool) -> list[Fault]:
    try:
        volume = read(path) if readable else None
    except ImageError as reason:
        return [error("values", str(reason).removeprefix(str(path)).strip().rstrip("."), "finite values")]
    if volume is None:
        return []
    if kind == "image":
        return faults_of_image(volume.data, params)
    return faults_of_discs(volume) if kind == "discs" else faults_of_mask(volume, params, soft=kind == "softmask")
