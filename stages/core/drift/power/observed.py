"""How much two versions differ in a lab's own data, for the simulation of the lab's own rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ...base.errors import DatasetError
from ...tables.monitored import csa_of, monitored_pair
from ..judgement.evidence import differences, failed_cases, people_of_cases
from ..record.floors import Floors
from ..rule.settings import Compare
from ..statistics.bias import PERSON, pair
from ..statistics.clustered import Codes, Floats, skewness
from ..versions.validity import validated
from ..versions.version import MeasuredVersion
from .scenario import Scenario

#: The chance that the true SD lies below the limit that is planned with.
CONFIDENCE = 0.80
#: Fewest people with every contrast for a simulation from their own rows.
LEAST_ROWS = 15
#: Estimates beyond these leave nothing for the person or for the case.
MOST_SHARED = 0.95


@dataclass(frozen=True)
class Observed:
    """Paired differences of past versions, with the mean of each pair and contrast taken off.

    Attributes
    ----------
    contrasts : names of the c columns
    pairs : how many pairs of versions
    participants : of all pairs together, each once
    sd_mm2 : (c,) SD of the differences
    sd_plan_mm2 : (c,) upper 80 % limit of it, by which the simulation plans
    sd_pooled_mm2 : SD of the participants' means
    correlation : mean correlation between contrasts, 0 to 0.95
    icc : share of the variance of the participants' means that a site has in common, 0 to 0.95; NaN without sites
    skewness : of the participants' means
    design_effect : by how much sites widen the variance of a mean; NaN without sites
    fails, fails_again : share of cases that one of two versions failed, and that both failed
    sites : participants at each site; one each where sites are not known
    sites_known : whether they are
    vendors : of each site; ``""`` where it is not known
    rows : for each site (k, c) complete rows, in units of the SD
    runner_sd_mm2 : SD that another way of running the same bundle adds to a difference; 0 where it is not known
    """

    contrasts: tuple[str, ...]
    pairs: int
    participants: int
    sd_mm2: tuple[float, ...]
    sd_plan_mm2: tuple[float, ...]
    sd_pooled_mm2: float
    correlation: float
    icc: float
    skewness: float
    design_effect: float
    fails: float
    fails_again: float
    sites: tuple[int, ...]
    sites_known: bool
    vendors: tuple[str, ...]
    rows: tuple[Floats, ...]
    runner_sd_mm2: float

    def scenario(self) -> Scenario:
        """Return the truth in which nothing moved, with normal noise of the SD that is planned with and of runners."""
        return Scenario(
            sites=self.sites,
            vendors=self.vendors,
            contrasts=len(self.contrasts),
            sd_mm2=tuple(math.hypot(sd, self.runner_sd_mm2) for sd in self.sd_plan_mm2),
            correlation=self.correlation,
            icc=0.0 if math.isnan(self.icc) else self.icc,
            fails=self.fails / 2.0,
            fails_again=self.fails_again,
            observed=self.rows,
            named=self.contrasts,
        )


def observe(
    pairs: Sequence[tuple[MeasuredVersion, MeasuredVersion]],
    contrasts: Sequence[str],
    rule: Compare,
    people: pd.DataFrame,
    floors: Floors | None = None,
) -> Observed:
    """Return what pairs of versions (new, old) of the same people show.

    Parameters
    ----------
    pairs : versions measured by one ruler on one set
    contrasts : those that count
    rule : which masks are measurements
    people : columns dataset, participant, site, manufacturer
    floors : what other ways of running move; None where that is not known

    Raises
    ------
    DatasetError
        The pairs have no contrast in common, fewer than three people in one, or no difference at all.
    """
    if not contrasts:
        raise DatasetError("the versions of the pairs have no contrast in common; there is nothing to plan by.")
    values, tables = [], []
    failed = np.zeros(3)
    for new, old in pairs:
        sides = [validated(one, rule.min_dice, rule.max_centreline_mm)[0] for one in (new, old)]
        both = monitored_pair(sides[0].measures, sides[1].measures, new.series.range, kind=rule.primary.kind)
        cases = pair(*(csa_of(rows[rows["contrast"].isin(list(contrasts))]) for rows in both))
        known = people_of_cases(cases, people, [])
        found = differences(cases, known, contrasts).value
        values.append(found - _means(found))
        told = people.drop_duplicates(PERSON).set_index(PERSON)[["site", "manufacturer"]]
        tables.append(told.reindex(known.index).fillna(""))
        counts = failed_cases(cases)
        failed += (counts.new_only + counts.old_only, counts.both, counts.cases)
    table = np.concatenate(values)
    n = np.isfinite(table).sum(axis=0)
    if n.min() < 3:
        raise DatasetError(
            f"{int(n.min())} people have {contrasts[int(n.argmin())]} in both versions of a pair; expected three or "
            "more to plan by."
        )
    # A mean was taken off in every pair: each costs one degree of freedom.
    df = np.maximum(n - len(pairs), 1)
    sd = np.sqrt(np.nansum(table**2, axis=0) / df)
    if not (sd > 0.0).all():
        raise DatasetError(
            f"{contrasts[int(sd.argmin())]} measures the same for everybody in both versions of each pair; the same "
            "version twice says nothing of how much two versions differ."
        )
    plan = sd * np.sqrt(df / stats.chi2.ppf(1.0 - CONFIDENCE, df))
    enough = np.isfinite(table).sum(axis=1) >= min(rule.min_contrasts, len(contrasts))
    person = np.nanmean(table[enough], axis=1)
    told = pd.concat(tables)
    each = told[~told.index.duplicated()]
    participants = len(each)
    known_sites = bool((told["site"] != "").all())
    # Where sites are not known, everyone is a site.
    codes = pd.factorize(told["site"])[0] if known_sites else np.arange(len(told))
    icc = icc_of_sites(person, codes[enough]) if known_sites else math.nan
    layout = each.groupby("site") if known_sites else each.groupby(level=PERSON)
    sizes = layout.size().to_numpy()
    vendors = layout["manufacturer"].agg(lambda names: names.mode().iloc[0])
    return Observed(
        contrasts=tuple(contrasts),
        pairs=len(pairs),
        participants=participants,
        sd_mm2=tuple(sd.tolist()),
        sd_plan_mm2=tuple(plan.tolist()),
        sd_pooled_mm2=float(np.sqrt(np.sum(person**2) / max(len(person) - len(pairs), 1))),
        correlation=_mean_correlation(table),
        icc=icc,
        skewness=skewness(person),
        design_effect=1.0 + icc * (float((sizes**2).sum()) / participants - 1.0),
        fails=float(failed[0] / failed[2]),
        fails_again=float(failed[1] / failed[2]),
        sites=tuple(int(size) for size in sizes),
        sites_known=known_sites,
        vendors=tuple(vendors.astype(str)),
        rows=_rows(table / sd, codes),
        runner_sd_mm2=_runner_sd(floors),
    )


def icc_of_sites(values: Floats, sites: Codes) -> float:
    """Return the share of the variance that people of a site have in common, 0 to 0.95, from one-way mean squares.

    Donner 1986, doi:10.2307/1403259. NaN where no site has two people, or all people are of one site.

    >>> round(icc_of_sites(np.array([1.0, 1.1, 3.0, 3.1, 5.0, 5.1]), np.array([0, 0, 1, 1, 2, 2])), 2)
    0.95
    """
    codes, sizes = np.unique(sites, return_counts=True)
    n, k = len(values), len(codes)
    if k < 2 or n == k:
        return math.nan
    means = {code: values[sites == code].mean() for code in codes.tolist()}
    own = np.array([means[code] for code in sites.tolist()])
    between = float(((own - values.mean()) ** 2).sum()) / (k - 1)
    within = float(((values - own) ** 2).sum()) / (n - k)
    size = (n - float((sizes**2).sum()) / n) / (k - 1)
    whole = between + (size - 1.0) * within
    return min(max((between - within) / whole, 0.0), MOST_SHARED) if whole > 0.0 else math.nan


def _runner_sd(floors: Floors | None) -> float:
    """SD (mm2) of the way of running that moves most; a normal deviate has a mean absolute value of 0.80 SD."""
    moved = [row.mean_abs_mm2 for row in floors.runner if math.isfinite(row.mean_abs_mm2)] if floors else []
    return max(moved, default=0.0) * math.sqrt(math.pi / 2.0)


def _means(table: Floats) -> Floats:
    """Mean of each column, (1, c); NaN where it has no value."""
    n = np.isfinite(table).sum(axis=0, keepdims=True)
    return np.asarray(np.where(n > 0, np.nansum(table, axis=0, keepdims=True) / np.maximum(n, 1), np.nan))


def _mean_correlation(table: Floats) -> float:
    c = table.shape[1]
    if c < 2:
        return 0.0
    found = pd.DataFrame(table).corr().to_numpy()[np.triu_indices(c, 1)]
    return min(max(float(np.nanmean(found)), 0.0), MOST_SHARED)


def _rows(table: Floats, sites: Codes) -> tuple[Floats, ...]:
    complete = np.isfinite(table).all(axis=1)
    if complete.sum() < LEAST_ROWS:
        return ()
    return tuple(table[complete & (sites == code)] for code in np.unique(sites[complete]))
