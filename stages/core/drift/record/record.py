"""``drift.json``: what the comparison of a candidate found, as one type. Only this module writes and reads it.

A number that is not defined is NaN in the type and null in the file. Fields with a default are those that a file may
lack: the ground truth has no agreement with itself, and records from before a field existed do not have it. A field
that was not given is not written, so that a record which is read and written again has the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ...base.errors import CordriftError, PipelineError
from ...base.files import read_json, write_json
from ...base.params import validate
from ..rule.settings import JudgedMetric
from .floors import Floors
from .parts import CountOrNumber, Number, Part

Drift = Literal["first", "equivalent", "inconclusive", "drifted"]
Quality = Literal["first", "better", "same", "not shown", "unknown", "worse"]
Role = Literal["reference", "prior", "candidate"]

#: Criteria of quality, as people call them; lower is better.
CRITERIA = {"csa_std_mm2": "CSA STD", "csa_error_mm2": "CSA error", "uncovered": "uncovered share of the range"}
#: What a margin of each criterion is in.
UNITS = {"csa_std_mm2": " mm²", "csa_error_mm2": " mm²", "uncovered": ""}


class SeriesRecord(Part):
    """Digests of the candidate's bundle, inference settings, ruler and frozen set."""

    bundle: str
    inference: str
    ruler: str
    frozen: str


class VersionRecord(Part):
    """One version in numbers; ``version`` is its digest, or ``reference`` for the ground truth.

    Attributes
    ----------
    marks : why a prior is shown and judges nothing, in two or three words each
    n, participants : participants with a CSA STD, of how many
    cases, failed, unmeasured : images; without a mask; with a mask and no value at the range
    n_dice, n_rve, n_surface, n_csa : cases behind the means of agreement
    off_cord : those of the failed that have a mask, which misses the cord of the reference
    csa_std_difference_mm2, csa_error_difference_mm2 : candidate - this version, over the participants in the next field
    """

    version: str
    label: str
    role: Role
    marks: list[str] = Field(default_factory=list)
    csa_std_mean_mm2: Number
    csa_std_sd_mm2: Number
    csa_std_low_mm2: Number = math.nan
    csa_std_high_mm2: Number = math.nan
    n: int
    participants: int
    cases: int
    failed: int
    unmeasured: int
    dice_mean: Number = math.nan
    dice_min: Number = math.nan
    rve_percent: Number = math.nan
    assd_mm: Number = math.nan
    hd95_mm: Number = math.nan
    csa_error_mm2: Number = math.nan
    n_dice: int = 0
    n_rve: int = 0
    n_surface: int = 0
    n_csa: int = 0
    off_cord: int = 0
    csa_std_difference_mm2: Number = math.nan
    n_csa_std_difference: int = 0
    csa_error_difference_mm2: Number = math.nan
    n_csa_error_difference: int = 0


class BiasRow(Part):
    """Mean paired difference candidate - prior (mm2) over n participants with its two-sided (1 - alpha) interval.

    The inner interval has the level 1 - 2 alpha, which is what the margin is compared with.
    """

    n: int
    bias_mm2: Number
    bias_percent: Number
    sd_mm2: Number
    ci_low_mm2: Number
    ci_high_mm2: Number
    dropped: int
    atrophy_months: Number = math.nan
    inner_low_mm2: Number = math.nan
    inner_high_mm2: Number = math.nan


class PriorRecord(Part):
    """The candidate beside one earlier version; ``comparable`` means that a difference is the versions' own.

    ``pooled`` is None where its numbers cannot be set beside the candidate's; ``why`` says what is in the way.
    """

    digest: str
    label: str
    aliases: list[str]
    comparable: bool
    marks: list[str] = Field(default_factory=list)
    why: str
    pooled: BiasRow | None
    contrasts: dict[str, BiasRow]


class DriftRow(Part):
    """One contrast, or all pooled: n participants, bias (mm2) with both intervals, and what follows from them.

    Attributes
    ----------
    inner_low_mm2, inner_high_mm2 : interval of the level 1 - 2 alpha
    outer_low_mm2, outer_high_mm2 : interval of the level 1 - alpha
    smallest_margin_mm2 : the margin from which on the row would have been equivalent, missing cases at their worst
    margin_mm2 : the declared margin of this row
    sd_mm2, skewness : of the paired differences
    sites : how many sites the interval takes into account; 0 where participants count as independent
    missing, cases : cases of the row that do not enter it, of how many
    p, p_holm : two-sided p of no bias, and adjusted over all rows of all judges
    """

    contrast: str
    n: int
    bias_mm2: Number
    inner_low_mm2: Number
    inner_high_mm2: Number
    outer_low_mm2: Number
    outer_high_mm2: Number
    smallest_margin_mm2: Number
    margin_mm2: Number = math.nan
    sd_mm2: Number = math.nan
    skewness: Number = math.nan
    sites: int = 0
    missing: int = 0
    cases: int = 0
    p: Number = math.nan
    p_holm: Number = math.nan
    verdict: Drift
    why: str


class QualityRow(Part):
    """One criterion, lower is better: its mean in both versions over n participants, new - old with its interval.

    Of failures, ``n`` counts cases, ``difference`` is the number that fail now and did not before, and ``margin`` how
    many may.
    """

    criterion: str
    n: int
    new: CountOrNumber
    old: CountOrNumber
    difference: CountOrNumber
    low: Number
    high: Number
    margin: Number
    p_holm: Number = math.nan
    verdict: Quality
    why: str


class WatchedMean(Part):
    """Mean difference of one watched group (mm2) over n participants at so many sites, with its interval.

    ``power`` is the chance that the test sees this group when it alone moves by a year of disease.
    """

    name: str
    n: int
    sites: int
    mean_mm2: Number
    low_mm2: Number
    high_mm2: Number
    power: Number


class Watched(Part):
    """Whether the groups of one attribute moved differently: F test on the sites' means; NaN where it has none.

    ``moved`` names the groups that moved by a year of disease or more, each with an interval that excludes 0.
    """

    attribute: str
    p: Number
    differs: bool
    groups: list[WatchedMean]
    moved: list[str]


class SecondaryRows(Part):
    """The rows of a number that is shown and does not decide, with the worst of their verdicts."""

    metric: str
    drift: Drift
    rows: list[DriftRow]


class Judge(Part):
    """An earlier version that the candidate is judged against; without ``rows`` it could not be, ``why`` says so."""

    digest: str
    label: str
    roles: list[str]
    drift: Drift
    quality: Quality
    why: str
    rows: list[DriftRow]
    criteria: list[QualityRow]
    watched: list[Watched] = Field(default_factory=list)
    secondary: list[SecondaryRows] = Field(default_factory=list)


class Outcome(Part):
    """Drift and quality with the reasons in sentences; ``passed`` is what the gate asks."""

    drift: Drift
    quality: Quality
    passed: bool
    reasons: list[str]


class Decision(Outcome):
    """The outcome with those who judged.

    ``margin_share`` is the largest share of its margin that a row needs: below 1 every row is inside; NaN where no row
    was judged, or one has no interval. ``smallest_margin_mm2`` is in records from before margins differed.
    """

    margin_share: Number = math.nan
    smallest_margin_mm2: Number = math.nan
    judges: list[Judge]

    @property
    def rows(self) -> list[DriftRow]:
        """The rows of all judges."""
        return [row for judge in self.judges for row in judge.rows]


class DeclaredItem(Part):
    """One thing that was fixed before the results, and what holds now, as text; ``""`` where it is absent."""

    name: str
    declared: str
    now: str


class Declared(Part):
    """By what the candidate was to be judged.

    ``when`` is the ISO time of the declaration, ``""`` when it is recorded nowhere; ``changed`` names the items that
    differ now.
    """

    when: str
    before_results: bool
    items: list[DeclaredItem]
    changed: list[str]


class Rule(Part):
    """The rule of the comparison (see the settings of ``compare``); older records lack some of its fields."""

    metrics: list[JudgedMetric] = Field(default_factory=list)
    bound_pooled_mm2: Number = math.nan
    bound_contrast_mm2: Number = math.nan
    csa_std_margin_mm2: Number = math.nan
    csa_error_margin_mm2: Number = math.nan
    uncovered_margin: Number = math.nan
    failures_new_max: int = 0
    alpha: float
    alpha_group: Number = math.nan
    watched: list[str] = Field(default_factory=list)
    missing_bound_mm2: Number = math.nan
    min_contrasts: int
    min_participants: int
    min_sites: int = 0
    min_dice: Number = math.nan
    max_centreline_mm: Number = math.nan
    atrophy_mm2_per_year: Number = math.nan
    power: str = ""
    margin_mm2: Number = math.nan

    @property
    def margin_pooled_mm2(self) -> float:
        """Margin of the pooled bias of the number that decides."""
        return self.primary.margin_pooled_mm2 if self.metrics else self.margin_mm2

    def margin_of(self, contrast: str) -> float:
        """Return the margin of a contrast of the number that decides (mm2)."""
        return self.primary.margin_of(contrast) if self.metrics else self.margin_mm2

    @property
    def primary(self) -> JudgedMetric:
        """The number that decides."""
        return next(metric for metric in self.metrics if metric.role == "primary")


class Acceptance(Part):
    """Who accepted the candidate when (ISO time), and why."""

    who: str
    when: str
    why: str


class LeftOut(Part):
    """A registered version that is no prior, with its label, its digest, that of its frozen set, and why."""

    label: str
    digest: str
    frozen: str
    why: str


class DriftRecord(Part):
    """The record of one comparison.

    Attributes
    ----------
    range : the monitored range, such as C2-C3
    versions : the ground truth (where there is one), the priors with tables, the candidate
    priors : in the order of their versions
    against : digest of the prior that the headline speaks of; None where no prior may judge
    incomplete : what of the frozen set was not delivered, in sentences
    used : for how many versions the frozen set was used, this one among them; NaN where it was not counted
    left_out : trials and retired versions before this one, which are no priors
    accepted : the promotions of the candidate by people, the oldest first; the verdict stays as it is
    declared : None where it was not declared by what the candidate is judged
    margin_mm2, alpha, min_contrasts : in records from before ``rule`` held them
    """

    candidate: SeriesRecord
    range: str
    contrasts: list[str]
    margin_mm2: Number = math.nan
    alpha: Number = math.nan
    min_contrasts: int = 0
    versions: list[VersionRecord]
    priors: list[PriorRecord]
    against: str | None
    offline: bool
    incomplete: list[str] = Field(default_factory=list)
    used: CountOrNumber = math.nan
    left_out: list[LeftOut] = Field(default_factory=list)
    accepted: list[Acceptance] = Field(default_factory=list)
    rule: Rule
    declared: Declared | None = None
    floors: Floors = Floors(runner=[], seeds=[])
    verdict: Decision

    @model_validator(mode="before")
    @classmethod
    def _sentences_for_lost_shards(cls, value: Any) -> Any:
        """Read a record from before ``incomplete``: it named the lost shards in ``lost``, the one key that is gone."""
        if not isinstance(value, dict) or not isinstance(value.get("lost"), dict):
            return value
        rest = {key: one for key, one in value.items() if key != "lost"}
        return {"incomplete": missing_shards(value["lost"])} | rest

    @property
    def candidate_version(self) -> VersionRecord:
        """The candidate among the versions."""
        return next(version for version in self.versions if version.role == "candidate")

    @property
    def headline_prior(self) -> PriorRecord | None:
        """The prior that the headline speaks of; None where no prior may judge."""
        return self.prior(self.against)

    def prior(self, digest: str | None) -> PriorRecord | None:
        """Return the prior of a digest; None where there is none."""
        return next((prior for prior in self.priors if prior.digest == digest), None)


def missing_shards(lost: Mapping[str, str]) -> list[str]:
    """Say in sentences what of the frozen set was not delivered; ``lost``: shard -> why."""
    return [f"shard {name} of the frozen set is missing: {why}" for name, why in sorted(lost.items())]


def write_drift(path: Path, record: DriftRecord) -> None:
    """Write ``drift.json``."""
    write_json(path, record.model_dump(exclude_unset=True))


def read_drift(path: Path) -> DriftRecord:
    """Read ``drift.json``, of this version or of an earlier one that had a verdict.

    Raises
    ------
    PipelineError
        The file is missing, carries a newer schema, or is not such a record. A key that no version ever wrote is
        refused: what it says would be ignored.
    """
    value = read_json(path)
    value.pop("schema")
    try:
        record: DriftRecord = validate(DriftRecord, value, str(path))
    except CordriftError as error:
        faults = str(error).removeprefix(f"{path}: ")
        raise PipelineError(
            f"{path} is not the record of a comparison, which `dvc repro compare` writes: {faults}"
        ) from error
    return record
