"""A hunt for a person's data in folders: by name, by id in texts, by voxels in images, and by pixels in pictures.

It knows nothing of how the outputs are named: zips are looked into, pictures are taken out of pages, and a file without
an ending, as caches keep them, is read as what its first bytes say.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import blosc2
import matplotlib.image
import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import match_template

from stages.core.images.volumes import Volume, read

#: A picture of a slice correlates so well with that slice, and with slices of other people at most 0.75 (measured on
#: the micro cohort, with contours drawn over the slice).
LIKE = 0.85
#: The smallest panel of a figure that is looked at, pixels; and the width of what the reports show of a slice, mm.
PANEL, SHOWN_MM = 80, 28.0


class Person:
    """What is known of a person: the id, and the values and slices of the images and masks.

    Parameters
    ----------
    sub : the id, such as ``sub-siteA001``
    folders : where files named after the person lie
    """

    def __init__(self, sub: str, folders: list[Path]) -> None:
        self.word = re.compile(rf"{sub}(?![A-Za-z0-9])".encode())
        files = [path for one in folders for path in sorted(one.rglob(f"*{sub}_*.nii.gz"))]
        files = [path for path in files if path.read_bytes()[:2] == b"\x1f\x8b"]  # not a pointer of git-annex
        self.values = {key for path in files if (key := _values(nib.load(path).get_fdata())) is not None}
        self.slices = [read(path) for path in files if "_label-" not in path.name]
        self._known: dict[str, bool] = {}
        assert self.values
        assert self.slices

    def reasons(self, name: str, content: bytes) -> set[str]:
        """Return how a file shows the person: name, text, voxels, picture."""
        found = set()
        if self.word.search(name.encode()):
            found.add("name")
        if self.word.search(content):
            found.add("text")
        if any(_values(array) in self.values for array in _arrays(name, content)):
            found.add("voxels")
        if any(self.is_in(picture) for picture in _pictures(content)):
            found.add("picture")
        return found

    def is_in(self, picture: bytes) -> bool:
        """Tell whether a panel of a picture is a slice of the person, as the reports draw slices (from below)."""
        digest = hashlib.sha256(picture).hexdigest()  # the same picture lies in several places, and is hunted again
        if digest not in self._known:
            shown = matplotlib.image.imread(io.BytesIO(picture))[..., :3].min(axis=2)
            panels = list(_panels(shown))
            self._known[digest] = any(_likeness(volume, panel) >= LIKE for panel in panels for volume in self.slices)
        return self._known[digest]


def hunt(root: Path, person: Person) -> dict[str, set[str]]:
    """Return each file below a folder that shows the person, with how; of git's own objects only those of git-annex."""
    found: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or ("/.git/" in f"/{name}" and "/annex/objects/" not in name):
            continue
        for inner, content in _members(name, path.read_bytes()):
            reasons = person.reasons(inner, content)
            if reasons:
                found[name] = found.get(name, set()) | reasons
    return found


def _members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield from _members(f"{name}!{member.filename}", archive.read(member))


def _arrays(name: str, content: bytes) -> Iterator[NDArray[Any]]:
    """Yield the images in a file: NIfTI, NumPy's, and those that nnU-Net preprocesses."""
    if (content[:2] == b"\x1f\x8b" and ".nii" in name) or ("." not in Path(name).name and content[:2] == b"\x1f\x8b"):
        yield nib.Nifti1Image.from_bytes(gzip.decompress(content)).get_fdata()
    elif name.endswith(".b2nd"):
        yield blosc2.from_cframe(content)[:]
    elif content[:6] == b"\x93NUMPY":
        yield np.load(io.BytesIO(content))


def _values(array: NDArray[Any]) -> tuple[float, ...] | None:
    """Return what stays of an image's values when it is turned, cut at empty edges, or normalised; None: too few."""
    values = np.sort(np.asarray(array, np.float64).ravel())
    values = values[values != values[0]]  # the background
    if len(values) < 100:
        return None
    spread = values.std() or 1.0
    picked = (values[np.linspace(0, len(values) - 1, 100).astype(int)] - values.mean()) / spread
    return (float(len(values)), *(float(value) for value in picked.round(3)))


def _pictures(content: bytes) -> list[bytes]:
    if content[:4] == b"\x89PNG":
        return [content]
    return [base64.b64decode(found) for found in re.findall(rb"data:image/png;base64,([A-Za-z0-9+/=]+)", content)]


def _panels(picture: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the panels of a figure that are no wider and no higher than a picture of a slice."""
    dark = ndimage.binary_closing(picture < 0.99, iterations=2)
    for place in ndimage.find_objects(ndimage.label(dark)[0]):
        height, width = picture[place].shape
        if min(height, width) >= PANEL and max(height, width) < 1.5 * min(height, width):
            yield picture[place]


def _likeness(volume: Volume, panel: NDArray[Any]) -> float:
    """Return the largest correlation of a panel with a part of an axial slice."""
    across, up = (round(SHOWN_MM / spacing) for spacing in volume.spacing_mm[:2])
    shown = _by_blocks(panel, up, across)
    if shown.std() < 1e-3:
        return 0.0
    best = 0.0
    for k in range(volume.data.shape[2]):
        plane = volume.data[:, :, k].T[::-1, ::-1]
        plane = np.pad(plane, [(max(0, want - have + 2),) * 2 for want, have in zip(shown.shape, plane.shape)])  # noqa: B905
        plane = np.clip(plane, *np.percentile(plane, [1.0, 99.5]))
        best = max(best, float(match_template(plane, shown).max()))
    return best


def _by_blocks(panel: NDArray[Any], rows: int, columns: int) -> NDArray[np.float64]:
    """Return the median of each block, which a thin contour in it does not change."""
    ys, xs = (np.linspace(0, size, count + 1).astype(int) for size, count in zip(panel.shape, (rows, columns)))  # noqa: B905
    blocks = [[np.median(panel[y:v, x:u]) for x, u in pairwise(xs)] for y, v in pairwise(ys)]
    return np.array(blocks)
