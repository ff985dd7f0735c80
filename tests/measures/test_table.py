"""Golden values of the ruler on small masks that the repository brings along (tests/golden/README.md)."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from golden.make import FOLDER, cords, volumes

from stages.core.images.volumes import read
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
#: Analytic areas: pi * 6.5 * 4.5 mm2, and of the same ellipse with a dent.
ELLIPSE_MM2, DENTED_MM2 = 91.89, 78.78


@pytest.mark.parametrize(
    ("name", "kind", "csa_mm2", "true_mm2", "n_slices", "flags"),
    [
        ("straight", "soft", 91.89, ELLIPSE_MM2, 18, ""),
        ("straight", "binary", 91.00, ELLIPSE_MM2, 18, ""),
        ("leaning", "soft", 91.89, ELLIPSE_MM2, 18, ""),
        ("leaning", "binary", 91.42, ELLIPSE_MM2, 18, ""),
        ("curved", "soft", 91.89, ELLIPSE_MM2, 18, ""),
        ("curved", "binary", 91.31, ELLIPSE_MM2, 18, ""),
        ("thick", "soft", 91.89, ELLIPSE_MM2, 9, "gap"),
        ("thick", "binary", 91.63, ELLIPSE_MM2, 9, "gap"),
        ("oblique", "soft", 78.78, DENTED_MM2, 18, ""),
        ("oblique", "binary", 78.29, DENTED_MM2, 18, ""),
    ],
)
def test_csa_is_what_it_was(name: str, kind: str, csa_mm2: float, true_mm2: float, n_slices: int, flags: str) -> None:
    """The value of today to two decimals. A soft mask has the true area, a binary one within 1 % of it."""
    table = measure_volume(read(FOLDER / f"{name}_{kind}.nii.gz"), read(FOLDER / f"{name}_discs.nii.gz"), PARAMS)
    row = table[table["scope"] == "range"].iloc[0]
    assert row["csa_mm2"] == pytest.approx(csa_mm2, abs=0.005)
    assert row["csa_mm2"] == pytest.approx(true_mm2, rel=0.01 if kind == "binary" else 1e-4)
    assert (row["kind"], row["n_slices"], row["flags"]) == (kind, n_slices, flags)


def test_the_true_areas_are_those_of_the_rendered_cords() -> None:
    areas = {name: float(cord.truth_mm2[0]) for name, cord in cords().items()}
    assert areas["straight"] == pytest.approx(np.pi * 6.5 * 4.5)
    assert areas.pop("oblique") == pytest.approx(DENTED_MM2, abs=0.005)
    assert list(areas.values()) == pytest.approx([ELLIPSE_MM2] * 4, abs=0.005)


def test_the_files_are_what_the_command_writes() -> None:
    expected = {f"{name}.nii.gz": (data, affine) for name, data, affine in volumes()}
    assert {path.name for path in FOLDER.glob("*.nii.gz")} == set(expected)
    for name, (data, affine) in expected.items():
        stored = nib.load(FOLDER / name)
        assert np.asarray(stored.dataobj) == pytest.approx(data, abs=1e-6), name
        assert stored.affine == pytest.approx(affine, abs=1e-5), name
    assert sum(path.stat().st_size for path in FOLDER.glob("*.nii.gz")) < 50_000
