"""Settings of `train`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ...base.params import Block, Count, Positive, Settings


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


class Train(Settings):
    """One training of nnU-Net v2. ``plan`` null: nnU-Net plans for itself (default network).

    One GPU a training; folds are stages of their own, and DVC runs them in turn.
    """

    block: ClassVar = "train"

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
