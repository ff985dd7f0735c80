"""How uncertain a model was of a draft."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from stages.core.annotation.drafts.draft import uncertainty


def test_the_uncertainty_is_the_entropy_of_scipy_per_voxel_of_cord() -> None:
    rng = np.random.default_rng(1)
    soft = rng.uniform(0, 1, (5, 4, 3)).astype(np.float32)
    soft[0], soft[1] = 0, 1
    bits = float(sum(entropy([p, 1 - p], base=2) for p in soft.ravel().astype(float)))
    assert uncertainty(soft) == pytest.approx(bits / soft.sum())
    assert np.isnan(uncertainty(np.zeros((2, 2, 2), np.float32)))
    assert uncertainty(np.ones((2, 2, 2), np.float32)) == 0
