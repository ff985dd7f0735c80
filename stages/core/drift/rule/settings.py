"""Settings of `compare`: the rule by which a version is judged, fixed before its results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ...base.errors import SettingsError
from ...base.params import Block, Count, Name, Positive, Settings

Share = Annotated[float, Field(gt=0, lt=1)]
#: By what participants of the frozen set are grouped: columns of the datasets' tables of participants.
Attribute = Literal["manufacturer", "sex", "age", "pathology"]
#: The rule of the frozen 49, in the checkout that this package is installed from.
DEFAULT = Path(__file__).resolve().parents[4] / "params/spine-generic.yaml"


class JudgedMetric(Block):
    """One number that is judged, with its margins.

    Attributes
    ----------
    metric, range : what is measured, and at which vertebral levels; only CSA at the range of ``measure.levels`` is
        judged today
    contrasts : those that have a row; null for every frozen contrast
    kind : of binary or of soft masks
    margin_pooled_mm2 : a bias of the participants' means inside it is no drift
    margin_contrast_mm2 : the same of each contrast: one number, or one for every contrast
    role : ``primary`` decides, ``secondary`` is shown
    """

    metric: Literal["csa_mm2"]
    range: str
    contrasts: list[Name] | None
    kind: Literal["binary", "soft"]
    margin_pooled_mm2: Positive
    margin_contrast_mm2: Positive | dict[Name, Positive]
    role: Literal["primary", "secondary"]

    @property
    def name(self) -> str:
        """Name of this number in tables and messages, such as ``csa_mm2 C2-C3 binary``."""
        return f"{self.metric} {self.range} {self.kind}"

    def margin_of(self, contrast: str) -> float:
        """Return the margin of a contrast in mm2.

        Raises
        ------
        SettingsError
            Margins are named by contrast, and this one has none.
        """
        margins = self.margin_contrast_mm2
        if not isinstance(margins, Mapping):
            return margins
        if contrast not in margins:
            raise SettingsError(
                f"margin_contrast_mm2 of {self.name} names no margin of {contrast!r}; it has {', '.join(margins)}. "
                "Give one number for all contrasts, or a margin for each."
            )
        return margins[contrast]


class Compare(Settings):
    """The rule of the comparison, fixed before results.

    Attributes
    ----------
    metrics : what is judged; exactly one of them is primary
    bound_pooled_mm2, bound_contrast_mm2 : no margin may be wider
    csa_std_margin_mm2, csa_error_margin_mm2 : CSA STD and absolute CSA error may grow by less than this
    uncovered_margin : the share of the range that masks do not cover may grow by less than this
    failures_new_max : so many cases may fail that the judge did not fail
    alpha : of each one-sided test
    alpha_group : of the test whether a watched group moved differently
    watched : by what participants are grouped for it
    missing_bound_mm2 : a case that either version lacks counts as if it had moved by this
    min_contrasts : a participant with fewer contrasts measured by both versions is not pooled
    min_participants : with fewer, a row is not called equivalent, and a criterion neither better nor same
    min_sites : with fewer sites, or unknown ones, participants count as independent
    min_dice, max_centreline_mm : a mask that overlaps its reference less, or lies farther from it, is a failure
    power : digest that `cordrift power` printed for this rule; ``""`` where it was not run. It is declared and judges
        nothing
    atrophy_mm2_per_year : how much a cord shrinks in a year of disease, to state a bias in months and to say how much
        of it the test of a watched group would see
    """

    block: ClassVar = "compare"

    metrics: Annotated[list[JudgedMetric], Field(min_length=1)]
    bound_pooled_mm2: Positive
    bound_contrast_mm2: Positive
    csa_std_margin_mm2: Positive
    csa_error_margin_mm2: Positive
    uncovered_margin: Share
    failures_new_max: Annotated[int, Field(ge=0)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    alpha_group: Annotated[float, Field(gt=0, lt=0.5)]
    watched: list[Attribute]
    missing_bound_mm2: Positive
    min_contrasts: Count
    min_participants: Annotated[int, Field(ge=2)]
    min_sites: Annotated[int, Field(ge=2)]
    min_dice: Share
    max_centreline_mm: Positive
    atrophy_mm2_per_year: Positive
    power: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")] = ""

    @property
    def primary(self) -> JudgedMetric:
        """The metric that decides."""
        return next(metric for metric in self.metrics if metric.role == "primary")

    @property
    def secondary(self) -> list[JudgedMetric]:
        """The metrics that are shown beside it."""
        return [metric for metric in self.metrics if metric.role == "secondary"]

    @model_validator(mode="after")
    def _one_primary(self) -> Self:
        primary = sum(metric.role == "primary" for metric in self.metrics)
        if primary != 1:
            raise ValueError(f"exactly one of compare.metrics must have the role primary, here {primary} have it")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"compare.metrics names a number twice: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _margins_within_bounds(self) -> Self:
        for metric in self.metrics:
            margins = metric.margin_contrast_mm2
            widest = max(margins.values(), default=0.0) if isinstance(margins, Mapping) else margins
            for what, margin, bound in (
                ("margin_pooled_mm2", metric.margin_pooled_mm2, self.bound_pooled_mm2),
                ("margin_contrast_mm2", widest, self.bound_contrast_mm2),
            ):
                if margin > bound:
                    raise ValueError(f"{what} of {metric.name} is {margin:g}, wider than its bound {bound:g} mm²")
        return self


def rule_at_hand() -> Path:
    """Return the params whose rule counts outside a pipeline: those of this folder, or of the frozen 49.

    Raises
    ------
    SettingsError
        There are neither.
    """
    found = next((path for path in (Path("params.yaml"), DEFAULT) if path.is_file()), None)
    if found is None:
        raise SettingsError(f"there is no params.yaml in {Path.cwd()}; name a file with a block `compare` by --params.")
    return found
