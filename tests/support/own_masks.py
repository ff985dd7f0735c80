"""A mask with disc labels, and `cordrift measure` on it, for the tests of a person's own masks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stages import measure_files
from stages.core.base.files import read_csv
from stages.core.images.volumes import write
from stages.core.tables.columns import MEASURES_TEXT
from support.cords import cord, discs_at

CORD = cord((0.8, 0.8, 2.0), 30, tilt_ap=12, tilt_rl=5)
DISCS = discs_at(CORD, {2: 26, 3: 18, 4: 9, 5: 2})


def write_masks(folder: Path) -> Path:
    """Write ``mask.nii.gz`` and ``discs.nii.gz``."""
    write(folder / "mask.nii.gz", CORD.data, CORD.affine)
    write(folder / "discs.nii.gz", DISCS.data, DISCS.affine)
    return folder


def run(*words: str) -> pd.DataFrame:
    """Measure with these arguments, and return the table."""
    measure_files.main([*words, "-o", "out.csv", "--force"])
    return read_csv(Path("out.csv"), text=MEASURES_TEXT)
