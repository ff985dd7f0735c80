"""What a lab's own differences say, for the simulation of its rule."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from support.drift_factory import CONTRASTS, RULE, older, runner_floor, version

from stages.core.base.errors import DatasetError
from stages.core.drift.power.observed import icc_of_sites, observe
from stages.core.drift.power.rates import rates
from stages.core.drift.power.scenario import Scenario
from stages.core.drift.record.floors import Floors

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(21)
N = 240


def lab(icc: float, rho: float, sd: float, sites: int = 80) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Two versions of N people at some sites, whose difference has a known SD, correlation and ICC."""

    def correlated(rows: int) -> np.ndarray:
        return np.sqrt(rho) * RNG.normal(size=(rows, 1)) + np.sqrt(1 - rho) * RNG.normal(size=(rows, 6))

    site = np.arange(N) % sites
    noise = sd * (np.sqrt(1 - icc) * correlated(N) + np.sqrt(icc) * correlated(sites)[site])
    old = {f"sub-{k:03d}": [float(v) for v in RNG.normal(76, 6, 6)] for k in range(N)}
    moved = {sub: row + 0.4 for sub, row in zip(old, noise, strict=True)}
    new = {sub: [float(v) for v in np.add(values, moved[sub])] for sub, values in old.items()}
    return new, old


def people(sites: int = 80) -> pd.DataFrame:
    rows = [("set", f"sub-{k:03d}", f"site-{k % sites}", "GE" if k % 2 else "Philips") for k in range(N)]
    return pd.DataFrame(rows, columns=["dataset", "participant", "site", "manufacturer"])


def test_sd_correlation_and_icc_come_back() -> None:
    new, old = lab(icc=0.3, rho=0.5, sd=1.3)
    found = observe([(version(new), older(old))], CONTRASTS, RULE, people())
    assert (found.pairs, found.participants, found.sites_known, set(found.sites)) == (1, N, True, {3})
    assert found.sd_mm2 == pytest.approx([1.3] * 6, rel=0.12)
    assert all(plan > sd for plan, sd in zip(found.sd_plan_mm2, found.sd_mm2, strict=True))
    assert found.correlation == pytest.approx(0.5, abs=0.12)
    assert found.icc == pytest.approx(0.3, abs=0.15)
    assert found.design_effect == pytest.approx(1 + found.icc * 2)
    assert set(found.vendors) == {"GE", "Philips"} or set(found.vendors) == {"GE"}


def test_the_runner_floor_is_added_to_the_scatter() -> None:
    """Another way of running that moves cases by 0.8 mm2 in the mean has an SD of 1 mm2 where the moves are normal."""
    new, old = lab(icc=0.0, rho=0.2, sd=1.0)
    floors = Floors(runner=[runner_floor(0.1).model_copy(update={"mean_abs_mm2": math.sqrt(2 / math.pi)})], seeds=[])
    pairs = [(version(new), older(old))]
    found = observe(pairs, CONTRASTS, RULE, people(), floors)
    alone = observe(pairs, CONTRASTS, RULE, people())
    assert (found.runner_sd_mm2, alone.runner_sd_mm2) == (pytest.approx(1.0), 0.0)
    assert found.scenario().sd_mm2 == pytest.approx([math.hypot(sd, 1.0) for sd in alone.sd_plan_mm2])
    assert alone.scenario().sd_mm2 == alone.sd_plan_mm2


def test_a_bias_between_the_versions_is_no_scatter() -> None:
    new, old = lab(icc=0.0, rho=0.0, sd=0.5)
    far = {sub: [v + 30.0 for v in values] for sub, values in new.items()}
    found = [observe([(version(one), older(old))], CONTRASTS, RULE, people()) for one in (new, far)]
    assert found[0].sd_mm2 == pytest.approx(found[1].sd_mm2)


def test_sites_that_are_not_known_are_people() -> None:
    new, old = lab(icc=0.0, rho=0.2, sd=1.0)
    found = observe([(version(new), older(old))], CONTRASTS, RULE, people().assign(site="", manufacturer=""))
    assert (found.sites_known, found.sites) == (False, (1,) * N)
    assert math.isnan(found.icc)
    assert math.isnan(found.design_effect)


def test_too_few_people_are_a_sentence() -> None:
    new, old = lab(icc=0.0, rho=0.2, sd=1.0)
    two = [{sub: one[sub] for sub in list(one)[:2]} for one in (new, old)]
    with pytest.raises(DatasetError, match="2 people have T1w in both versions of a pair; expected three or more"):
        observe([(version(two[0]), older(two[1]))], CONTRASTS, RULE, people())
    with pytest.raises(DatasetError, match="have no contrast in common"):
        observe([(version(new), older(old))], [], RULE, people())


def test_the_same_version_twice_says_nothing() -> None:
    new, _ = lab(icc=0.0, rho=0.2, sd=1.0)
    with pytest.raises(DatasetError, match="T1w measures the same for everybody"):
        observe([(version(new), older(new))], CONTRASTS, RULE, people())


def test_the_icc_is_that_of_an_analysis_of_variance() -> None:
    """Independent of our code: mean squares of scipy's F, equal sites of three."""
    from scipy import stats

    sites = np.repeat(np.arange(12), 3)
    values = RNG.normal(size=36) + RNG.normal(size=12)[sites]
    f = float(stats.f_oneway(*[values[sites == k] for k in range(12)]).statistic)
    assert icc_of_sites(values, sites) == pytest.approx((f - 1) / (f - 1 + 3))


def test_own_rows_have_the_spread_that_was_planned() -> None:
    """Rows that are drawn again need the margin that normal noise of the same SD needs."""
    new, old = lab(icc=0.0, rho=0.3, sd=1.3)
    found = observe([(version(new), older(old))], CONTRASTS, RULE, people())
    base = found.scenario()
    rule = RULE.model_copy(update={"watched": []})
    needs = {
        shape: float(np.median(rates(base.with_(tails=shape), rule, 60, 1).need_share))
        for shape in ("normal", "observed")
    }
    assert needs["observed"] == pytest.approx(needs["normal"], rel=0.15)


def test_one_sd_for_each_contrast() -> None:
    """A contrast with no scatter lies inside its margin, one with a large scatter does not."""
    rule = RULE.model_copy(update={"watched": []})
    wide = Scenario(sd_mm2=(0.1, 0.1, 0.1, 0.1, 0.1, 9.0))
    assert rates(wide, rule, 40, 1).equivalent == 0.0
    assert rates(Scenario(sd_mm2=(0.1,) * 6), rule, 40, 1).equivalent == 1.0
