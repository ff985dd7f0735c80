"""Metrics in the space of the PAM50 template."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support.cords import REAL_CORD, cord

from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.levels import Discs
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume
from stages.core.measures.own_masks.template import FIRST_VERTEBRA, LAST_VERTEBRA, onto_template, template_slices

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
NORMATIVE = REAL_CORD.parent / "normative"


def growing(slice_mm: float, n_slices: int) -> Volume:
    """Return a straight cord whose area grows linearly with height, from 60 mm2 at the bottom to 90 mm2 at the top."""
    data = np.zeros((12, 12, n_slices), np.float32)
    area = 60 + 30 * (np.arange(n_slices) + 0.5) / n_slices
    data[2:10, 2:10] = area / 64 / 1.5
    return Volume(data, np.diag([np.sqrt(1.5), np.sqrt(1.5), slice_mm, 1.0]))


@pytest.mark.parametrize(("slice_mm", "n_slices"), [(0.5, 160), (1.0, 80), (4.0, 20)])
def test_a_linear_metric_stays_linear_within_each_vertebra(slice_mm: float, n_slices: int) -> None:
    """With any slice thickness the area halfway down a vertebra is that of the cord halfway between its discs."""
    mask = growing(slice_mm, n_slices)
    tops = {2: 68.0, 3: 52.0, 4: 32.0}  # mm above the bottom's edge
    discs = Discs({disc: top / slice_mm - 0.5 for disc, top in tops.items()})
    rows = onto_template(measure_volume(mask, discs, PARAMS), discs)
    assert rows["slice"].tolist() == list(range(871, 939))
    assert set(rows["scope"]) == {"pam50"}
    for vertebra, (low, high) in {2: (908, 938), 3: (871, 907)}.items():
        part = rows[rows["level"] == vertebra]
        assert part["slice"].tolist() == list(range(low, high + 1))
        share = (part["slice"].to_numpy() - low + 0.5) / (high - low + 1)
        height = tops[vertebra + 1] + share * (tops[vertebra] - tops[vertebra + 1])
        assert part["csa_mm2"].to_numpy() == pytest.approx(60 + 30 * height / 80, rel=1e-6)


def test_what_was_not_measured_is_not_invented() -> None:
    mask = cord((1.0, 1.0, 1.0), 60)
    mask.data[:, :, 30:36] = 0
    discs = Discs({2: 50.0, 3: 40.0, 4: 20.0, 6: 2.0})
    rows = onto_template(measure_volume(mask, discs, PARAMS), discs)
    assert set(rows["level"]) == {2, 3}, "C4 and C5 have no disc between them"
    c3 = rows[rows["level"] == 3]
    height = 20 + (c3["slice"].to_numpy() - 871 + 0.5) / 37 * 20
    assert not ((height > 29.5) & (height < 35.5)).any()
    assert len(c3) == 37 - 11


def test_without_cord_or_discs_there_are_no_rows() -> None:
    empty = Volume(np.zeros((5, 5, 5), np.float32), np.eye(4))
    assert len(onto_template(measure_volume(empty, None, PARAMS), Discs({}))) == 0
    mask = cord((1.0, 1.0, 1.0), 10)
    assert len(onto_template(measure_volume(mask, None, PARAMS), Discs({}))) == 0


def test_vertebrae_follow_each_other_without_a_gap() -> None:
    for vertebra in range(FIRST_VERTEBRA, LAST_VERTEBRA):
        assert template_slices(vertebra)[0] == template_slices(vertebra + 1)[1] + 1
    with pytest.raises(KeyError):
        template_slices(LAST_VERTEBRA + 1)


@pytest.mark.skipif(not NORMATIVE.is_dir(), reason=f"{NORMATIVE} is not there")
@pytest.mark.parametrize("edition", ["r20231016", "r20250321"])
def test_the_slices_are_those_of_the_published_tables(edition: str) -> None:
    table = pd.read_csv(sorted((NORMATIVE / edition).glob("*.csv"))[0])
    for vertebra, part in table.groupby("VertLevel")["Slice (I->S)"]:
        if FIRST_VERTEBRA <= vertebra <= LAST_VERTEBRA:
            assert template_slices(int(vertebra)) == (part.min(), part.max())
