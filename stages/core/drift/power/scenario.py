"""Made-up cohorts whose truth is known: what a candidate and its judges would measure, as evidence for the verdict.

A version measures the true area plus an error. The error has a part that all versions share (the model's habits) and a
part of its own, which is what a paired difference between versions shows. Both have the same correlation between
contrasts, and of the own part a share is common to all people of a site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..judgement.evidence import Differences, Evidence, Failed, People
from ..statistics.bias import PERSON
from ..statistics.clustered import Codes, Floats

Value = TypeVar("Value")
Tails = Literal["normal", "t3", "skewed", "skewed difference", "observed"]
#: Participants at each site of the frozen 49 of spine-generic, by vendor (participants.tsv of r20250314).
FROZEN_SITES = {
    "Siemens": (4, 3, 3, 2, 2, 2, 2, *[1] * 12),
    "Philips": (3, 3, 2, 1, 1, 1, 1, 1),
    "GE": (4, 1, 1),
}
#: SD of the part of the error that all versions share (mm2): with the own part of an SD of 1.3 the mean absolute error
#: is 1.64 mm2, as in the literature's table of a contrast-agnostic model.
SHARED_SD_MM2 = 1.84
AREA_MM2 = 76.0


@dataclass(frozen=True)
class Scenario:
    """A truth, and how the measurements scatter around it.

    Attributes
    ----------
    sites : participants at each site
    vendors : vendor of each site
    contrasts : how many
    sd_mm2 : SD of a paired difference between two versions in one contrast; one value for all, or one each
    correlation : between the contrasts of a participant
    icc : share of the variance of a difference that the people of a site have in common
    tails : shape of the noise; ``skewed difference`` is an exponential difference between versions, and ``observed``
        takes rows of ``observed`` site by site, whose correlations it has then
    shift_mm2 : by how much the new version moved, by contrast; one value for all
    vendor_shift_mm2 : vendor -> by how much its people moved besides, in every contrast
    growth : factor on the new version's errors
    fails, fails_again : chance that a case fails in a version by itself, and in every version
    judges : 1 (champion and anchor are one version) or 2
    observed : for each site (k, contrasts) differences that were seen there, with variance 1
    named : names of the contrasts; empty where they do not matter
    """

    sites: tuple[int, ...] = tuple(n for sizes in FROZEN_SITES.values() for n in sizes)
    vendors: tuple[str, ...] = tuple(name for name, sizes in FROZEN_SITES.items() for _ in sizes)
    contrasts: int = 6
    sd_mm2: float | tuple[float, ...] = 1.3
    correlation: float = 0.3
    icc: float = 0.0
    tails: Tails = "normal"
    shift_mm2: float | tuple[float, ...] = 0.0
    vendor_shift_mm2: tuple[tuple[str, float], ...] = ()
    growth: float = 1.0
    fails: float = 0.0
    fails_again: float = 0.0
    judges: int = 2
    observed: tuple[Floats, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the contrasts."""
        return self.named or tuple(f"contrast {k + 1}" for k in range(self.contrasts))

    def with_(self, **changes: object) -> Scenario:
        """Return the scenario with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def people(self) -> People:
        """Return the participants with their sites and vendors."""
        site = np.repeat(np.arange(len(self.sites)), self.sites)
        index = pd.MultiIndex.from_tuples([("made up", f"sub-{k:03d}") for k in range(len(site))], names=PERSON)
        return People(index, site, {"manufacturer": np.array(self.vendors, dtype=np.str_)[site]})


@dataclass(frozen=True)
class Measured:
    """What a version measured: its error (mm2) in every case, (n, contrasts), and which cases failed."""

    error: Floats
    failed: NDArray[np.bool_]


@dataclass(frozen=True)
class Cohort:
    """What all versions of one run share: participants, the shared part of the error, cases that always fail."""

    scenario: Scenario
    people: People
    shared: Floats
    always: NDArray[np.bool_]


def cohort(scenario: Scenario, people: People, rng: np.random.Generator) -> Cohort:
    """Draw what all versions of one run share; ``people`` is of :meth:`Scenario.people`, made once for many runs."""
    shape = (len(people.site), scenario.contrasts)
    shared = _noise(scenario.with_(icc=0.0, tails="normal"), people.site, rng) * SHARED_SD_MM2
    return Cohort(scenario, people, shared, rng.random(shape) < scenario.fails_again)


def version(one: Cohort, rng: np.random.Generator) -> Measured:
    """Draw a version that has not moved."""
    own = _noise(one.scenario, one.people.site, rng) * np.asarray(one.scenario.sd_mm2) / np.sqrt(2.0)
    return Measured(one.shared + own, one.always | (rng.random(own.shape) < one.scenario.fails))


def moved_version(one: Cohort, rng: np.random.Generator) -> Measured:
    """Draw the new version, with the shifts and the growth of the scenario."""
    scenario, measured = one.scenario, version(one, rng)
    vendor = dict(scenario.vendor_shift_mm2)
    of_vendor = np.array([vendor.get(name, 0.0) for name in one.people.groups["manufacturer"].tolist()])[:, None]
    shift = np.broadcast_to(scenario.shift_mm2, (scenario.contrasts,))
    return Measured(measured.error * scenario.growth + shift + of_vendor, measured.failed)


def draw(scenario: Scenario, people: People, metric: str, rng: np.random.Generator) -> list[Evidence]:
    """Draw what the new version and its judges measured; one evidence for each judge.

    Parameters
    ----------
    people : of :meth:`Scenario.people`, made once for many draws
    metric : name of the judged metric
    rng : the source of chance
    """
    one = cohort(scenario, people, rng)
    if scenario.tails == "skewed difference":
        # Noise that both versions have cancels in the difference, so the new version alone has it, of the whole SD.
        own = _noise(scenario.with_(tails="skewed"), people.site, rng) * np.asarray(scenario.sd_mm2)
        shift = np.broadcast_to(scenario.shift_mm2, (scenario.contrasts,))
        new, old = Measured(one.shared + own + shift, one.always), Measured(one.shared, one.always)
        return [evidence_beside(one, metric, new, old)]
    new = moved_version(one, rng)
    return [evidence_beside(one, metric, new, version(one, rng)) for _ in range(scenario.judges)]


def _noise(scenario: Scenario, site: Codes, rng: np.random.Generator) -> Floats:
    """Noise of variance 1, (n, contrasts), correlated over contrasts and over the people of a site."""
    n, c, rho, icc = len(site), scenario.contrasts, scenario.correlation, scenario.icc
    if scenario.tails == "observed":
        return _drawn_again(scenario.observed, site, rng)

    def correlated(rows: int) -> Floats:
        person, case = _shape(scenario.tails, (rows, 1), rng), _shape(scenario.tails, (rows, c), rng)
        values: Floats = np.sqrt(rho) * person + np.sqrt(1.0 - rho) * case
        return values

    noise: Floats = np.sqrt(1.0 - icc) * correlated(n)
    return np.asarray(noise + np.sqrt(icc) * correlated(int(site.max()) + 1)[site]) if icc else noise


def _drawn_again(observed: Sequence[Floats], site: Codes, rng: np.random.Generator) -> Floats:
    """Draw a site that was seen for each site, and then whole rows of its people, so that both correlations stay.

    A site is drawn among those that have enough people, and nobody of it twice: two copies of one person would look
    like a correlation within sites.
    """
    out = np.empty((len(site), observed[0].shape[1]))
    for code, size in zip(*np.unique(site, return_counts=True), strict=True):
        enough = [rows for rows in observed if len(rows) >= size] or [np.concatenate(observed)]
        donor = enough[int(rng.integers(len(enough)))]
        out[site == code] = donor[rng.choice(len(donor), size=int(size), replace=len(donor) < size)]
    # A row is the difference of two versions. Which of the two measured more is chance, so each site's sign is drawn.
    signs = rng.choice((-1.0, 1.0), size=int(site.max()) + 1)
    return np.asarray(out * signs[site][:, None])


def _shape(tails: Tails, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    if tails == "t3":
        return np.asarray(rng.standard_t(3, shape) / np.sqrt(3.0))
    if tails == "skewed":
        return np.asarray(rng.exponential(1.0, shape) - 1.0)
    return np.asarray(rng.normal(size=shape))


def evidence_beside(one: Cohort, metric: str, new: Measured, old: Measured) -> Evidence:
    """Compare two versions' measurements, as the comparison does with tables.

    Parameters
    ----------
    one : the run of both versions
    metric : name of the judged metric
    new, old : the versions
    """
    missing = np.asarray(new.failed | old.failed)
    value = np.where(missing, np.nan, new.error - old.error)
    found = Differences(
        contrasts=one.scenario.names,
        value=value,
        cases=np.ones(value.shape, dtype=np.int64),
        entered=np.isfinite(value).astype(np.int64),
        old=np.where(missing, np.nan, AREA_MM2 + old.error),
    )
    complete = np.asarray(np.isfinite(value).all(axis=1))
    errors = [np.where(missing, np.nan, np.abs(version.error)) for version in (new, old)]
    measured: Floats = np.isfinite(value).sum(axis=1).astype(np.float64)
    error = np.column_stack([np.nansum(table, axis=1) / np.maximum(measured, 1) for table in errors])
    criteria = {
        "csa_error_mm2": np.where(measured.reshape(-1, 1) > 0, error, np.nan),
        "uncovered": np.zeros((len(value), 2)),
    }
    if value.shape[1] > 1:
        spread = np.column_stack([version.error.std(axis=1, ddof=1) for version in (new, old)])
        criteria = {"csa_std_mm2": np.where(complete[:, None], spread, np.nan), **criteria}
    new_only, old_only = np.asarray(new.failed & ~old.failed), np.asarray(old.failed & ~new.failed)
    failed = Failed(int((new.failed & old.failed).sum()), int(new_only.sum()), int(old_only.sum()), value.size)
    return Evidence(one.people, {metric: found}, criteria, failed)


def with_participants(n: int) -> Scenario:
    """Return a scenario of n participants whose sites resemble those of the frozen 49: its sites, repeated or cut."""
    base = Scenario()
    sizes: list[int] = []
    vendors: list[str] = []
    k = 0
    while sum(sizes) < n:
        sizes.append(min(_mixed(base.sites)[k % len(base.sites)], n - sum(sizes)))
        vendors.append(_mixed(base.vendors)[k % len(base.sites)])
        k += 1
    return base.with_(sites=tuple(sizes), vendors=tuple(vendors))


def _mixed(values: Sequence[Value]) -> list[Value]:
    """Every third value, so that the large and the small sites of all vendors take turns."""
    return [*values[::3], *values[1::3], *values[2::3]]
