"""Every tunable number, read once from ``params.yaml`` into typed objects; a misspelt key is a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import CordriftError, did_you_mean

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Block(BaseModel):
    """A block of params: unknown keys are refused and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fetch(Block):
    """Which registry entries are fetched, and with how many parallel transfers."""

    datasets: list[Name]
    jobs: Count


class Check(Block):
    """From where on an image is suspect.

    ``spacing_mm``: least and largest voxel size. ``form_mm``: how far qform and sform may lie apart, at a corner.
    ``component_share``: smaller pieces of a mask are dust. ``clipped_share``: of voxels at the image's maximum.
    ``outlier_z``: robust z score of a mask's volume or length within its contrast, where ``outlier_n`` masks are
    there to compare with.
    """

    spacing_mm: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    oblique_deg: Positive
    form_mm: Positive
    component_share: Annotated[float, Field(ge=0, lt=1)]
    clipped_share: Annotated[float, Field(gt=0, lt=1)]
    outlier_z: Positive
    outlier_n: Annotated[int, Field(ge=3)]


class Prepare(Block):
    """What becomes training data.

    ``datasets`` are training entries of the registry; ``contrasts`` limits them (null: all that the registry
    lists). Participants are split per site into ``folds`` with ``seed``.
    """

    datasets: list[Name]
    contrasts: list[Name] | None
    seed: int
    folds: Count


class Network(Block):
    """The network of a fixed plan: one entry of ``features`` per resolution stage.

    At least three stages: nnU-Net's deep supervision gives the coarsest output no weight, and with two stages
    divides zero by zero (nnunetv2 2.8.1).
    """

    features: Annotated[list[Count], Field(min_length=3)]
    convolutions: Count


class FixedPlan(Block):
    """A plan given by hand, for hardware on which nnU-Net's own plan is out of reach."""

    spacing_mm: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    patch_size: Annotated[list[Count], Field(min_length=3, max_length=3)]
    batch_size: Count
    network: Network


class Optimiser(Block):
    """Optimiser with its initial learning rate (decayed by nnU-Net's polynomial schedule)."""

    name: Literal["SGD", "AdamW"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]


class Augmentation(Block):
    """What the trainer changes in nnU-Net's own augmentation.

    ``mirror_axes``: along which of z, y, x (0, 1, 2) images are mirrored, and may be at inference; a cord is
    symmetric from left to right. ``contrast_remap``: probability of a random intensity curve.
    """

    mirror_axes: list[Annotated[int, Field(ge=0, le=2)]]
    contrast_remap: Annotated[float, Field(ge=0, le=1)]


class Train(Block):
    """One training of nnU-Net v2. ``plan`` null: nnU-Net plans for itself (default network).

    One GPU a training; folds are stages of their own, and DVC runs them in turn.
    """

    configuration: Literal["2d", "3d_fullres"]
    plan: FixedPlan | None
    folds: list[Annotated[int, Field(ge=0)]]
    epochs: Count
    iterations: Count
    validation_iterations: Count
    save_every: Count
    optimiser: Optimiser
    augmentation: Augmentation
    seed: int
    device: Literal["cpu", "cuda"]
    gpus: Literal[1]
    threads: Count
    workers: Annotated[int, Field(ge=0)]
    versions: dict[str, str]


class Segment(Block):
    """How the monitored images are segmented. Participants go to shards by a hash of their id."""

    datasets: list[Name]
    contrasts: list[Name]
    shards: list[Annotated[int, Field(ge=0)]]
    step: Annotated[float, Field(gt=0, le=1)]
    mirror: bool
    threshold: Annotated[float, Field(gt=0, lt=1)]
    largest_component: bool
    device: Literal["cpu", "cuda"]
    threads: Count


class Measure(Block):
    """The ruler: vertebral levels of the range, least coverage of a range, stiffness of the centreline."""

    levels: list[Annotated[int, Field(ge=1, le=25)]]
    coverage: Annotated[float, Field(gt=0, le=1)]
    stiffness_mm: Positive


class Floor(Block):
    """How the runner floor is taken: on how many participants, and with what instead of the settings of ``segment``.

    What is null, or the same as there, is not tried; ``participants`` 0 tries nothing.
    """

    participants: Annotated[int, Field(ge=0)]
    threads: Count | None
    step: Annotated[float, Field(gt=0, le=1)] | None
    device: Literal["cpu", "cuda"] | None


class History(Block):
    """Where priors come from. ``offline``: do not ask MLflow; nothing can be judged or registered then."""

    offline: bool


class Compare(Block):
    """The rule of the comparison, fixed before results.

    ``margin_mm2``: a bias inside it is no drift. ``csa_std_margin_mm2``: by how much CSA STD and absolute CSA error may
    grow. ``alpha`` of each one-sided test. ``min_participants``: with fewer, nothing is called equivalent.
    ``atrophy_mm2_per_year``: what a year of disease takes, to state a bias in months of it; it judges nothing.
    """

    margin_mm2: Positive
    csa_std_margin_mm2: Positive
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    min_contrasts: Count
    min_participants: Annotated[int, Field(ge=2)]
    atrophy_mm2_per_year: Positive


class Report(Block):
    """The report's title, and whether it shows anatomy (``images`` false: contours alone)."""

    title: str
    images: bool


class Register(Block):
    """The registered model of this profile in MLflow, and the label under which this version is shown."""

    model: Name
    label: Name


class Params(Block):
    """All of ``params.yaml``: one block per stage that has any number to tune."""

    profile: Name
    fetch: Fetch
    check: Check
    prepare: Prepare
    train: Train
    segment: Segment
    measure: Measure
    floor: Floor
    history: History
    compare: Compare
    report: Report
    # pydantic's own classes have a method `register`; the block keeps the stage's name
    registration: Register = Field(alias="register")


def validate(model: type[Any], value: object, source: str) -> Any:
    """Return ``value`` as a ``model``, or raise a sentence per fault that names the key and what was expected."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(_fault(model, fault) for fault in error.errors())
        raise CordriftError(f"{source}: {faults}.") from error


def _fault(model: type[Any], fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {where!r}{did_you_mean(str(fault['loc'][-1]), _keys(model))}"
    if fault["type"] == "missing":
        return f"key {where!r} is missing"
    return f"{where!r} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _keys(model: type[Any]) -> set[str]:
    """All keys that ``model`` and the models inside it know, for a suggestion."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys |= _keys(part)
    return keys


def load_yaml(path: Path) -> Any:
    """Read a YAML file without running anything it names."""
    if not path.is_file():
        raise CordriftError(f"{path} is missing (looked in {path.parent.resolve()}).")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CordriftError(f"{path} is not valid YAML: {error}.") from error


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``."""
    params: Params = validate(Params, load_yaml(path), str(path))
    return params
