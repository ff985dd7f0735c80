"""Groups of participants, and the interval of a mean that is not normal."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.drift_factory import CONTRASTS, FLAT, RULE, SERIES, older, version

from stages.core.drift.judgement.comparison import compare
from stages.core.drift.statistics.bias import mean_interval, t_interval
from stages.core.drift.statistics.subgroups import UNKNOWN_GROUP, age_band, groups
from stages.core.drift.versions.version import Prior


def person(sub: str, manufacturer: str, sex: str, age: str, pathology: str) -> dict[str, str]:
    known = {"dataset": "set", "participant": sub, "site": "x", "manufacturer": manufacturer}
    return {**known, "sex": sex, "age": age, "pathology": pathology}


PEOPLE = pd.DataFrame(
    [
        person("sub-0", "Siemens", "F", "25", "HC"),
        person("sub-1", "Siemens", "M", "39.5", "HC"),
        person("sub-2", "GE", "F", "61", "MildCompression"),
        person("sub-3", "=1+1", "", "n/a", "HC"),
        person("sub-absent", "Philips", "F", "25", "HC"),
    ]
)


def table(shift: dict[str, float]) -> pd.DataFrame:
    """Subgroups of a candidate that moved by ``shift`` from its one prior."""
    new = {sub: [v + shift.get(sub, 0.0) for v in values] for sub, values in FLAT.items()}
    prior = older(FLAT)
    found = compare(
        version(new), [Prior(SERIES, "v1", (), prior)], contrasts=CONTRASTS, rule=RULE, offline=False, people=PEOPLE
    )
    mine: pd.DataFrame = found.subgroups[found.subgroups["version"] == SERIES.bundle]
    return mine.set_index(["attribute", "group"])


def test_each_group_has_its_own_bias_and_n() -> None:
    rows = table({"sub-0": 1.0, "sub-1": 3.0, "sub-2": -2.0})
    rows = rows[rows["n"] > 0]
    assert rows.loc[("everyone", "everyone"), ["participants", "n", "bias_mm2"]].tolist() == [5, 5, pytest.approx(0.4)]
    siemens = rows.loc[("manufacturer", "Siemens")]
    assert siemens[["n", "bias_mm2", "sd_mm2"]].tolist() == [2, 2.0, pytest.approx(math.sqrt(2))]
    low, high = stats.ttest_1samp([1.0, 3.0], 0).confidence_interval(0.95)
    assert (siemens["ci_low_mm2"], siemens["ci_high_mm2"]) == (pytest.approx(low), pytest.approx(high))
    assert rows.loc[("pathology", "HC"), "n"] == 3
    assert rows.loc[("age", "20-39"), "bias_mm2"] == 2.0
    alone = rows.loc[("pathology", "MildCompression")]
    assert (alone["n"], alone["bias_mm2"]) == (1, -2.0)
    assert math.isnan(alone["ci_low_mm2"])
    assert ("manufacturer", "Philips") not in rows.index, "nobody of it was measured"


def test_whom_the_table_leaves_out_is_a_group_too() -> None:
    rows = table({})
    unnamed = rows.loc[("sex", UNKNOWN_GROUP), "participants"]
    assert unnamed.tolist() == [2, 2]  # as candidate and as prior: sub-3 and sub-4
    per_attribute = rows.groupby(level="attribute")["participants"].sum()
    assert (per_attribute == 10).all()


def test_a_group_is_no_formula_of_a_spreadsheet() -> None:
    assert [name for name in groups(PEOPLE, PEOPLE)["group"] if name[0] in "=+-@"] == []
    assert "'=1+1" in set(groups(PEOPLE, PEOPLE)["group"])


@pytest.mark.parametrize(
    ("age", "band"),
    [("0", "0-19"), ("19.9", "0-19"), ("20", "20-39"), ("59", "40-59"), ("60", "60 and older"), ("88", "60 and older")],
)
def test_bands_of_age(age: str, band: str) -> None:
    assert age_band(age) == band


@pytest.mark.parametrize("age", ["", "n/a", "nan", "-3", "inf", "1e9", None])
def test_what_is_no_age(age: object) -> None:
    assert age_band(age) == ""


def test_the_interval_of_a_skewed_mean_is_a_bootstrap_from_thirty_on() -> None:
    values = np.random.default_rng(2).lognormal(0.0, 1.0, 49)
    low, high = mean_interval(values, 0.05)
    assert (low, high) == mean_interval(values, 0.05), "the same values give the same interval"
    t_low, t_high = t_interval(values, 0.05)
    assert low > t_low
    assert high > t_high, "the long tail is above"
    assert mean_interval(values[:29], 0.05) == t_interval(values[:29], 0.05)


def test_values_that_do_not_vary_have_a_point() -> None:
    assert mean_interval(np.full(40, 2.5), 0.05) == (2.5, 2.5)
    assert all(math.isnan(end) for end in mean_interval(np.array([]), 0.05))
