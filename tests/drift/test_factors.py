"""Conversion factors between two versions' numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.drift_factory import CONTRASTS, SERIES, version

from stages.core.drift.conversion.factors import SCALED, conversion_factors
from stages.core.drift.statistics.bias import POOLED
from stages.core.drift.versions.version import MeasuredVersion

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(5)
OLD = {f"sub-{k:02d}": [float(v) for v in RNG.normal(76, 6, 6)] for k in range(12)}


def factors(new: dict[str, list[float]], old: dict[str, list[float]] = OLD) -> dict[str, dict[str, float]]:
    tables: list[MeasuredVersion] = [version(new), version(old, replace(SERIES, bundle="a" * 64))]
    found = conversion_factors(tables[0].measures, tables[1].measures, "C2-C3", CONTRASTS, 4, 0.05)
    csa = found[found["metric"] == "csa_mm2"]
    return {str(row["contrast"]): row.to_dict() for _, row in csa.iterrows()}


@pytest.mark.parametrize("scale", [0.97, 1.0, 1.05])
def test_a_constant_factor_comes_back_exactly(scale: float) -> None:
    found = factors({sub: [scale * v for v in values] for sub, values in OLD.items()})
    for row in found.values():
        assert (row["factor"], row["ratio_of_means"], row["n"]) == (pytest.approx(scale), pytest.approx(scale), 12)
        assert (row["ci_low"], row["ci_high"]) == (pytest.approx(scale), pytest.approx(scale))


def test_the_factor_is_the_mean_of_the_participants_ratios() -> None:
    new = {sub: [v + 2.0 + 0.1 * k for v in values] for k, (sub, values) in enumerate(OLD.items())}
    ratios = [new[sub][1] / OLD[sub][1] for sub in OLD]
    row = factors(new)["T2w"]
    expected = stats.ttest_1samp(ratios, 0).confidence_interval(0.95)
    assert row["factor"] == pytest.approx(np.mean(ratios))
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert row["ratio_of_means"] == pytest.approx(sum(new[s][1] for s in OLD) / sum(OLD[s][1] for s in OLD))
    assert row["ratio_of_means"] != pytest.approx(row["factor"], rel=1e-6)


def test_pooled_takes_a_participant_once() -> None:
    """Half of the contrasts are 10 % larger: each participant's ratio is 1.05, with no spread between participants."""
    row = factors({sub: [v * (1.1 if k % 2 else 1.0) for k, v in enumerate(vs)] for sub, vs in OLD.items()})[POOLED]
    assert (row["factor"], row["n"]) == (pytest.approx(1.05), 12)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(0.0, abs=1e-9)


def test_what_was_not_measured_is_no_ratio() -> None:
    new = {sub: list(values) for sub, values in OLD.items()}
    for values in new.values():
        values[5] = math.nan
    found = factors(new)
    assert found["DWI"]["n"] == 0
    assert math.isnan(found["DWI"]["factor"])
    assert found[POOLED]["n"] == 12


def test_angles_are_not_multiplied() -> None:
    assert not [name for name in SCALED if name.endswith("_deg")]
    assert {"csa_mm2", "diameter_ap_mm", "compression_ratio"} <= set(SCALED)


def test_metrics_that_cannot_exceed_1_have_no_factor() -> None:
    assert not {"eccentricity", "solidity"} & set(SCALED)


def test_the_pooled_factor_is_of_the_people_of_the_pooled_bias() -> None:
    """Three people with three contrasts only, in which they are 10 % larger: with four asked for, they are left out."""
    new = {sub: list(values) for sub, values in OLD.items()}
    for sub in list(new)[:3]:
        new[sub] = [v * 1.1 for v in new[sub][:3]] + [math.nan] * 3
    row = factors(new)[POOLED]
    assert (row["n"], row["factor"]) == (9, pytest.approx(1.0))


def with_slices(of: MeasuredVersion, factor: float, slope_per_cm: float, noise: dict[int, float]) -> MeasuredVersion:
    """The version with seven slices of 5 mm a case, whose CSA is the range's times a line over the height."""
    cases = of.measures[(of.measures["scope"] == "range") & (of.measures["kind"] == "binary")]
    rows = []
    for k in range(7):
        ratio = factor + slope_per_cm * (k - 3) * 0.5 + noise.get(k, 0.0)
        slices = cases.assign(scope="slice", slice=k, z_mm=5.0 * k, level=2 if k < 6 else pd.NA, levels="")
        rows.append(slices.assign(csa_mm2=cases["csa_mm2"] * ratio))
    return replace(of, measures=pd.concat([of.measures, *rows], ignore_index=True))


def over_slices(slope_per_cm: float, noise: dict[int, float]) -> dict[str, float]:
    new = with_slices(version(OLD), 1.02, slope_per_cm, noise)
    old = with_slices(version(OLD, replace(SERIES, bundle="a" * 64)), 1.0, 0.0, {})
    found = conversion_factors(new.measures, old.measures, "C2-C3", CONTRASTS, 4, 0.05)
    return dict(found[(found["metric"] == "csa_mm2") & (found["contrast"] == POOLED)].iloc[0])


def test_a_factor_that_is_the_same_in_every_slice() -> None:
    row = over_slices(0.0, {})
    assert (row["slice_n"], row["slice_sd"], row["slice_trend_per_cm"]) == (12, pytest.approx(0.0, abs=1e-9), 0.0)


def test_a_factor_that_grows_towards_the_head() -> None:
    """Six slices have a level: heights 0 to 25 mm, ratios a line of 0.01 per cm, SD of that line over them."""
    row = over_slices(0.01, {6: 5.0})  # the slice without a level does not count
    assert row["slice_trend_per_cm"] == pytest.approx(0.01)
    assert row["slice_sd"] == pytest.approx(np.std(0.01 * 0.5 * np.arange(6), ddof=1))
    assert (row["slice_trend_low"], row["slice_trend_high"]) == (pytest.approx(0.01), pytest.approx(0.01))


def test_the_trend_is_the_least_squares_line() -> None:
    noise = {1: 0.02, 4: -0.03}
    row = over_slices(0.01, noise)
    ratios = [1.02 + 0.005 * (k - 3) + noise.get(k, 0.0) for k in range(6)]
    assert row["slice_trend_per_cm"] == pytest.approx(stats.linregress(0.5 * np.arange(6), ratios).slope)


def test_without_slices_there_is_no_constancy() -> None:
    row = factors(OLD)["T1w"]
    assert row["slice_n"] == 0
    assert math.isnan(row["slice_sd"])
    assert math.isnan(row["slice_trend_per_cm"])
