"""The monitored number of a pair of versions: over the slices that both cover."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.drift.statistics.bias import pair
from stages.core.drift.statistics.coverage import coverage_of_cases
from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.levels import Discs
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume
from stages.core.tables.columns import METRICS
from stages.core.tables.monitored import csa_of, monitored_pair

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
DISCS = Discs({2: 17.0, 3: 10.0, 4: 2.0})


def measured(first: int = 0, last: int = 20, grow: int = 0) -> pd.DataFrame:
    """A cord that widens downwards, whose mask covers the slices from ``first`` to ``last``."""
    data = np.zeros((24, 24, 21), np.float32)
    for z in range(first, last + 1):
        wide = 5 + (20 - z) // 4 + grow
        data[12 - wide : 12 + wide, 8:16, z] = 1
    table = measure_volume(Volume(data, np.eye(4)), DISCS, PARAMS)
    case = {"dataset": "set", "participant": "sub-0", "session": "", "contrast": "T1w", "source": "prediction"}
    return table.assign(**case)


@settings(max_examples=15, deadline=None)
@given(grow=st.integers(0, 3))
def test_the_same_extent_gives_the_values_of_each_range(grow: int) -> None:
    tables = measured(), measured(grow=grow)
    for rows, table in zip(monitored_pair(*tables, "C2-C3"), tables, strict=True):
        own = table[table["scope"] == "range"].iloc[0]
        assert rows["extent"].tolist() == ["common slices"]
        for name in METRICS:
            assert rows[name].iloc[0] == pytest.approx(own[name], nan_ok=True), name


def test_a_mask_that_ends_higher_is_compared_where_both_are() -> None:
    """The same cord, cut off below slice 9: its own mean is smaller, and nothing moved."""
    whole, short = measured(), measured(first=9)
    own = [table.loc[table["scope"] == "range", "csa_mm2"].iloc[0] for table in (short, whole)]
    assert own[0] < own[1] - 2.0
    new, old = (csa_of(rows) for rows in monitored_pair(short, whole, "C2-C3"))
    assert pair(new, old)["difference"].tolist() == pytest.approx([0.0], abs=0.35)  # the leaning at the cut differs
    cover = coverage_of_cases(short, whole, "C2-C3").iloc[0]
    assert cover["old"] == pytest.approx(1.0)
    assert cover["new"] == pytest.approx(8.5 / 15, abs=0.02)


def test_masks_that_share_almost_nothing_are_not_compared() -> None:
    """One shows the upper half of the range, the other the lower half."""
    upper, lower = measured(first=9), measured(last=9)
    new, old = (csa_of(rows) for rows in monitored_pair(upper, lower, "C2-C3"))
    assert new["csa_mm2"].isna().all()
    assert old["csa_mm2"].isna().all()


def test_a_version_without_slices_keeps_its_range_and_is_marked() -> None:
    imported = measured()
    imported = imported[imported["scope"] == "range"]
    new, old = monitored_pair(measured(first=9), imported, "C2-C3")
    assert new["extent"].tolist() == old["extent"].tolist() == ["own range"]
    assert old["csa_mm2"].iloc[0] == imported["csa_mm2"].iloc[0]
