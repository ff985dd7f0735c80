"""Settings of the stage `train`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ...base.params import Block, Count, Positive, Seed, Settings


class Network(Block):
    """The network of a fixed plan: one entry of ``features`` for each resolution.

    There are at least three: nnU-Net's deep supervision gives the coarsest output no weight, and with two resolutions
    it divides zero by zero (nnunetv2 2.8.1).
    """

    features: Annotated[list[Count], Field(min_length=3)]
    convolutions: Count


class FixedPlan(Block):
    """A plan that a person wrote, for hardware that is too small for nnU-Net's own plan.

    ``spacing_mm`` and ``patch_size`` (voxels) are in the order z, y, x.
    """

    spacing_mm: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    patch_size: Annotated[list[Count], Field(min_length=3, max_length=3)]
    batch_size: Count
    network: Network


class Optimiser(Block):
    """Optimiser with its highest learning rate.

    ``schedule``: nnU-Net's polynomial from the first epoch on, or a cosine after ``warmup`` epochs. ``average``: the
    bundle holds the moving average of the weights, of which this share stays in a step; 0: the last weights.
    """

    name: Literal["SGD", "AdamW"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["polynomial", "cosine"]
    warmup: Annotated[int, Field(ge=0)]
    average: Annotated[float, Field(ge=0, lt=1)]


class Painted(Block):
    """Batches of painted anatomies, see the stage ``paint``.

    ``share`` of all batches; ``inwards_mm``: their boundary lies so far inside the anatomy's, in all contrasts alike.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    inwards_mm: Annotated[float, Field(ge=-0.5, le=0.5)]


class Augmentation(Block):
    """The trainer's changes to nnU-Net's own augmentation.

    ``mirror_axes``: the axes of z, y, x (0, 1, 2) along which images are mirrored in training, and may be mirrored at
    inference; a cord is symmetric from left to right. ``contrast_remap``: probability of a random intensity curve.
    """

    mirror_axes: list[Annotated[int, Field(ge=0, le=2)]]
    contrast_remap: Annotated[float, Field(ge=0, le=1)]


class Train(Settings):
    """One training of nnU-Net v2. When ``plan`` is null, nnU-Net makes its own plan with its default network.

    ``compile``: whether torch compiles the network, which pays on a GPU and for long trainings only.
    ``loss``: nnU-Net's, or that for shares of a voxel, which painted batches need. ``bfloat16``: the network is
    computed in 16 bits, which is faster on CPUs with AMX; without it the trainer keeps nnU-Net's precision.

    A training uses one GPU. Each fold is a stage of its own, and DVC runs them one after the other.
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
    painted: Painted
    loss: Literal["nnunet", "soft"]
    bfloat16: bool
    seed: Seed
    device: Literal["cpu", "cuda"]
    gpus: Literal[1]
    threads: Count
    workers: Annotated[int, Field(ge=0)]
    compile: bool
    versions: dict[str, str]

    @model_validator(mode="after")
    def _fits(self) -> Train:
        if self.painted.share and self.loss != "soft":
            raise ValueError("loss must be soft where painted.share is not 0, because painted targets are shares")
        if self.painted.share and self.plan is None:
            raise ValueError("painted.share must be 0 where plan is null, because paint must know the size of a patch")
        return self
