"""Conversion factors are published where n, interval, sizes and validity allow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support.drift_factory import CONTRASTS, RULE, older, run, version

from stages.core.drift.conversion.publication import with_reasons

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(3)


def factors(n: int, sd: float, intercept: float = 0.0, slope: float = 1.0) -> pd.DataFrame:
    """The factors of n people whose new number is a line of the old one, with a scatter of ``sd``."""
    size = {f"sub-{k:02d}": RNG.normal(76, 8) for k in range(n)}
    old = {sub: [value + RNG.normal(0, 0.2) for _ in CONTRASTS] for sub, value in size.items()}
    new = {sub: [intercept + slope * v + RNG.normal(0, sd) for v in values] for sub, values in old.items()}
    table = run(version(new), older(old)).conversion
    return table[table["metric"] == "csa_mm2"].set_index("contrast")


def test_many_people_with_a_narrow_interval_are_published() -> None:
    found = factors(49, 1.3)
    assert found["withheld"].tolist() == [""] * 7
    assert found.loc["pooled", "person_half_width"] == pytest.approx(2 * 1.3 / 6**0.5, rel=0.4)


def test_few_people_are_not() -> None:
    assert set(factors(4, 0.1)["withheld"]) == {"n = 4 is fewer than 5"}


def test_a_wide_interval_is_not() -> None:
    found = factors(40, 9.0)["withheld"]
    assert found.str.fullmatch(r"its interval of ±\d+\.\d % is wider than the margin, \d\.\d %").all(), found.tolist()


def test_a_factor_that_errs_for_small_cords_is_not() -> None:
    """The line of two published versions, 3.0 + 0.933 old, on cords that differ in size: the factor alone errs."""
    found = factors(49, 0.3, intercept=12.0, slope=0.80).loc["pooled"]
    assert found["line_intercept"] == pytest.approx(12.0, abs=1.0)
    assert found["line_slope"] == pytest.approx(0.80, abs=0.02)
    assert found["small_excess"] < -1.0 < 1.0 < found["large_excess"]
    assert "for small or large cords" in found["withheld"]


def test_a_marked_version_has_none() -> None:
    table = factors(49, 0.3).reset_index()
    marked = with_reasons(table.drop(columns="withheld"), RULE, "It was measured with another ruler.")
    assert set(marked["withheld"]) == {"It was measured with another ruler"}


def test_a_contrast_that_the_verdict_has_no_row_of_has_none() -> None:
    table = factors(49, 0.3).reset_index().drop(columns="withheld")
    rule = RULE.model_copy(update={"metrics": [RULE.primary.model_copy(update={"contrasts": ["T1w"]})]})
    found = with_reasons(table, rule, "").set_index("contrast")["withheld"]
    assert (found["T1w"], found["pooled"]) == ("", "")
    assert found["DWI"] == "the verdict has no row of this contrast, and so no margin"
