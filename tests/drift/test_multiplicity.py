"""Holm's adjustment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from stages.core.drift.statistics.multiplicity import holm

pytestmark = pytest.mark.slow


@given(p=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=14))
def test_it_is_that_of_statsmodels(p: list[float]) -> None:
    assert holm(np.array(p)) == pytest.approx(multipletests(p, method="holm")[1])


def test_an_undefined_p_is_not_counted() -> None:
    found = holm(np.array([0.01, np.nan, 0.5]))
    assert found[[0, 2]].tolist() == [0.02, 0.5]
    assert np.isnan(found[1])
