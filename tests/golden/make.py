"""Write the golden masks and disc labels into this folder: rendered cords whose area is known (see README.md).

Run it as ``python tests/golden/make.py``. It gives the same files again; a test compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.rendering import Cord, binarised, dented, ellipse, render

from stages.core.images.volumes import Volume, write

FOLDER = Path(__file__).parent
#: Semi-axes of the cord, right-left and front-back, mm.
RL_MM, AP_MM = 6.5, 4.5
ELLIPSE = ellipse(RL_MM, AP_MM)
#: Angles of the scanner for the oblique volume, degrees about x and y, and the order in which its voxels are stored.
OBLIQUE, STORED = (25.0, 10.0), "PIR"


def cords() -> dict[str, Cord]:
    """Return the rendered cords by name, in canonical axes and not yet oblique."""
    return {
        "straight": render(ELLIPSE, (1.0, 1.0, 2.0), 22, offset=(0.21, -0.13)),
        "leaning": render(ELLIPSE, (0.8, 0.9, 2.0), 22, tilt_rl=15.0, tilt_ap=20.0, offset=(0.11, 0.32)),
        "curved": render(ELLIPSE, (0.9, 0.9, 2.0), 22, radius=80.0, azimuth=30.0, offset=(0.17, 0.05)),
        "thick": render(ELLIPSE, (0.8, 0.8, 5.0), 12, tilt_ap=12.0, offset=(-0.24, 0.15)),
        "oblique": render(dented(RL_MM, AP_MM, 0.4, 0.5), (0.7, 0.7, 2.0), 22, tilt_ap=8.0, offset=(0.05, -0.3)),
    }


#: Slices of the discs on top of C2, C3 and C4; the mask called "thick" has no cord in the slice GAP.
DISCS = {name: {2: 19, 3: 11, 4: 2} for name in ("straight", "leaning", "curved", "oblique")} | {
    "thick": {2: 10, 3: 6, 4: 1}
}
GAP = 4


def volumes() -> Iterator[tuple[str, NDArray[np.generic], NDArray[np.float64]]]:
    """Yield name, voxels and affine of each file."""
    for name, cord in cords().items():
        soft, binary = cord.volume, binarised(cord.volume)
        discs = np.zeros(soft.data.shape, dtype=np.uint8)
        for number, height in DISCS[name].items():
            discs[soft.data.shape[0] // 2, number, height] = number
        for what, data in (("soft", soft.data), ("binary", binary.data.astype(np.uint8)), ("discs", discs)):
            if name == "thick" and what != "discs":
                data[:, :, GAP] = 0
            yield f"{name}_{what}", *(_oblique(data, soft) if name == "oblique" else (data, soft.affine))


def _oblique(data: NDArray[np.generic], volume: Volume) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """Return voxels and affine of a volume that was scanned obliquely and is stored in another order."""
    a, b = np.radians(OBLIQUE)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    affine = volume.affine.copy()
    affine[:3, :3] = about_y @ about_x @ affine[:3, :3]
    affine[:3, 3] = (-12.0, 30.0, 7.5)
    to_stored = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(STORED))
    return apply_orientation(data, to_stored), affine @ inv_ornt_aff(to_stored, data.shape)


if __name__ == "__main__":
    for name, data, affine in volumes():
        write(FOLDER / f"{name}.nii.gz", np.ascontiguousarray(data), affine)
