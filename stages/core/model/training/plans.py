"""Checked plans of nnU-Net, and a fixed plan for small hardware.

nnU-Net imports every class that a plans file names, so a plan from outside could run any code. Therefore every name is
checked against a whitelist and every size against a bound before nnU-Net reads the plan.
"""

from __future__ import annotations

import copy
import math
import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ...base.errors import BundleError, SettingsError
from ...base.params import Block, validate
from .settings import FixedPlan

Axis = Annotated[int, Field(ge=0, le=2)]
Size = Annotated[int, Field(ge=1, le=1024)]
#: mm; a finer grid would fill the memory with a single volume.
Spacing = Annotated[float, Field(ge=0.1, le=100)]
Resampler = Literal["resample_torch_fornnunet", "resample_data_or_seg_to_shape", "resample_torch_simple"]

#: Name of a configuration of nnU-Net, such as 3d_fullres. It becomes the name of a folder.
CONFIGURATION = re.compile(r"[A-Za-z0-9_]{1,64}")
#: Most voxels of a patch, and most values of one feature map of a patch. nnU-Net plans some 10 million voxels at most.
MOST_PATCH_VOXELS, MOST_PATCH_VALUES = 256**3, 32 * 256**3
#: Most weights of a bundle's network, counted roughly. nnU-Net's presets have 0.03e9 to 0.2e9.
MOST_WEIGHTS = 1_000_000_000


class ArchKwargs(Block):
    """Arguments of the two network classes that nnU-Net's plans use, with bounds."""

    n_stages: Annotated[int, Field(ge=2, le=10)]
    features_per_stage: Annotated[list[Size], Field(min_length=2, max_length=10)]
    conv_op: Literal["torch.nn.modules.conv.Conv2d", "torch.nn.modules.conv.Conv3d"]
    kernel_sizes: Annotated[list[list[Annotated[int, Field(ge=1, le=7)]]], Field(min_length=2, max_length=10)]
    strides: Annotated[list[list[Annotated[int, Field(ge=1, le=4)]]], Field(min_length=2, max_length=10)]
    n_conv_per_stage: Annotated[list[Annotated[int, Field(ge=1, le=12)]], Field(max_length=10)] | None = None
    n_blocks_per_stage: Annotated[list[Annotated[int, Field(ge=1, le=12)]], Field(max_length=10)] | None = None
    n_conv_per_stage_decoder: Annotated[list[Annotated[int, Field(ge=1, le=12)]], Field(max_length=10)]
    conv_bias: bool
    norm_op: Literal["torch.nn.modules.instancenorm.InstanceNorm2d", "torch.nn.modules.instancenorm.InstanceNorm3d"]
    norm_op_kwargs: dict[Literal["eps", "affine"], float | bool]
    dropout_op: None
    dropout_op_kwargs: None
    nonlin: Literal["torch.nn.LeakyReLU"]
    nonlin_kwargs: dict[Literal["inplace"], bool]

    @model_validator(mode="after")
    def _bounded(self) -> ArchKwargs:
        stages = {len(self.features_per_stage), len(self.kernel_sizes), len(self.strides), self.n_stages}
        if len(stages) != 1:
            raise ValueError(f"features, kernels and strides must all have n_stages = {self.n_stages} entries")
        if (self.n_conv_per_stage is None) == (self.n_blocks_per_stage is None):
            raise ValueError("exactly one of n_conv_per_stage and n_blocks_per_stage must be given")
        blocks = self.n_conv_per_stage or self.n_blocks_per_stage or []
        # encoder and decoder, each with at most two convolutions in a block
        kernels = [math.prod(kernel) for kernel in self.kernel_sizes]
        weights = sum(4 * n * k * f * f for n, k, f in zip(blocks, kernels, self.features_per_stage, strict=False))
        if weights > MOST_WEIGHTS:
            raise ValueError(f"the network has about {weights} weights, more than any network that nnU-Net plans")
        return self

    def given(self) -> dict[str, Any]:
        """Return the arguments as nnU-Net's plans hold them, without those that are None."""
        absent = {name for name in ("n_conv_per_stage", "n_blocks_per_stage") if getattr(self, name) is None}
        return self.model_dump(exclude=absent)


class Architecture(Block):
    """Network class and arguments."""

    network_class_name: Literal[
        "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
    ]
    arch_kwargs: ArchKwargs
    kw_requires_import: Annotated[list[Literal["conv_op", "norm_op", "dropout_op", "nonlin"]], Field(max_length=4)] = (
        Field(alias="_kw_requires_import")
    )


class Resampling(Block):
    """Keyword arguments of nnU-Net's resampling functions."""

    is_seg: bool
    force_separate_z: bool | None = None
    memefficient_seg_resampling: bool | None = None
    order: Annotated[int, Field(ge=0, le=5)] | None = None
    order_z: Annotated[int, Field(ge=0, le=5)] | None = None


class Configuration(Block):
    """One configuration of a plan, as far as inference needs it."""

    data_identifier: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
    preprocessor_name: Literal["DefaultPreprocessor"]
    batch_size: Size
    patch_size: Annotated[list[Size], Field(min_length=2, max_length=3)]
    median_image_size_in_voxels: list[float]
    spacing: Annotated[list[Spacing], Field(min_length=2, max_length=3)]
    normalization_schemes: list[Literal["ZScoreNormalization"]]
    use_mask_for_norm: list[bool]
    resampling_fn_data: Resampler
    resampling_fn_seg: Resampler
    resampling_fn_probabilities: Resampler
    resampling_fn_data_kwargs: Resampling
    resampling_fn_seg_kwargs: Resampling
    resampling_fn_probabilities_kwargs: Resampling
    architecture: Architecture
    batch_dice: bool

    @model_validator(mode="after")
    def _bounded(self) -> Configuration:
        kwargs = self.architecture.arch_kwargs
        axes = 2 if kwargs.conv_op.endswith("Conv2d") else 3
        for name, sizes in (
            ("patch_size", [self.patch_size]),
            ("spacing", [self.spacing]),
            ("kernel_sizes", kwargs.kernel_sizes),
            ("strides", kwargs.strides),
        ):
            if any(len(size) != axes for size in sizes):
                raise ValueError(f"{name} must have {axes} axes each, as the convolution of the network has")
        if not kwargs.norm_op.endswith(f"{axes}d"):
            raise ValueError(f"norm_op must have {axes} axes, as the convolution of the network has")
        if len(self.normalization_schemes) != 1 or len(self.use_mask_for_norm) != 1:
            raise ValueError("normalization_schemes and use_mask_for_norm must have one entry, as there is one channel")
        voxels = math.prod(self.patch_size)
        values = voxels * max(kwargs.features_per_stage[0], 1)
        if voxels > MOST_PATCH_VOXELS or values > MOST_PATCH_VALUES:
            raise ValueError(
                f"a patch of {self.patch_size} voxels with {kwargs.features_per_stage[0]} features is larger than any "
                f"that nnU-Net plans (at most {MOST_PATCH_VOXELS} voxels and {MOST_PATCH_VALUES} values)"
            )
        for axis in range(axes):
            shrunk = math.prod(stride[axis] for stride in kwargs.strides)
            if self.patch_size[axis] % shrunk:
                raise ValueError(f"patch_size {self.patch_size} is not divisible by the strides of the network")
        return self


def check_configuration(name: str, configuration: dict[str, Any], source: str) -> Configuration:
    """Check one configuration of a plan that may come from outside.

    Raises
    ------
    BundleError
        A class is not on the whitelist, a size is out of bounds, or a key is unknown.
    """
    checked: Configuration = validate(
        Configuration, configuration, f"{source}, configuration {name!r}", error=BundleError
    )
    return checked


def inference_plans(plans: dict[str, Any], configuration: str, source: str) -> dict[str, Any]:
    """Check a plan and reduce it to what decides the output of inference: no names, dataset statistics or paths.

    Raises
    ------
    BundleError
        The configuration has no plain name or the plan lacks it, its transpositions are not orders of the three axes
        that undo each other, or as :func:`check_configuration`.
    """
    if not isinstance(configuration, str) or not CONFIGURATION.fullmatch(configuration):
        raise BundleError(
            f"{source}: {configuration!r} cannot be the name of a configuration; expected letters, digits and '_', "
            "such as 3d_fullres."
        )
    try:
        chosen = plans["configurations"][configuration]
        forward, backward = plans["transpose_forward"], plans["transpose_backward"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"{source} has no configuration {configuration!r} with transposition: {error}.") from error
    orders = (forward, backward)
    whole = all(isinstance(order, list) and all(type(axis) is int for axis in order) for order in orders)
    if not whole or any(sorted(order) != [0, 1, 2] for order in orders):
        raise BundleError(f"{source}: transpose_forward and transpose_backward must be orders of 0, 1, 2.")
    if [forward[axis] for axis in backward] != [0, 1, 2]:
        raise BundleError(f"{source}: transpose_backward {backward} does not undo transpose_forward {forward}.")
    checked = check_configuration(configuration, chosen, source)
    out = checked.model_dump(by_alias=True)
    out["architecture"]["arch_kwargs"] = checked.architecture.arch_kwargs.given()
    for key in ("resampling_fn_data_kwargs", "resampling_fn_seg_kwargs", "resampling_fn_probabilities_kwargs"):
        given = chosen[key].keys()
        out[key] = {name: value for name, value in out[key].items() if name in given}
    return {
        "dataset_name": "Dataset001_cord",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [1, 1, 1],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": list(forward),
        "transpose_backward": list(backward),
        "configurations": {configuration: out},
        "experiment_planner_used": "cordrift",
        "label_manager": "LabelManager",
        # z-score normalisation uses the statistics of each image, not those of the dataset
        "foreground_intensity_properties_per_channel": {"0": {}},
    }


def fixed_plans(plan: FixedPlan, configuration: str) -> dict[str, Any]:
    """Return the plan of params in nnU-Net's format.

    Resampling is trilinear along every axis: nnU-Net's default interpolates with order 0 through thick slices, which
    turns a cord in 5 mm slices into steps.

    Raises
    ------
    SettingsError
        The network cannot halve the patch as often as its plan says.
    """
    stages = len(plan.network.features)
    shortest = min(plan.patch_size)
    if shortest >> (stages - 1) < 1 or any(size % (1 << (stages - 1)) for size in plan.patch_size):
        raise SettingsError(
            f"train.plan.patch_size {plan.patch_size} must be divisible by {1 << (stages - 1)}, "
            f"since train.plan.network has {stages} stages."
        )
    trilinear = {"is_seg": False, "force_separate_z": False, "memefficient_seg_resampling": False}
    chosen = {
        "data_identifier": f"nnUNetPlans_{configuration}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": plan.batch_size,
        "patch_size": plan.patch_size,
        "median_image_size_in_voxels": [float(size) for size in plan.patch_size],
        "spacing": plan.spacing_mm,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_torch_fornnunet",
        "resampling_fn_seg": "resample_torch_fornnunet",
        "resampling_fn_probabilities": "resample_torch_fornnunet",
        "resampling_fn_data_kwargs": trilinear,
        "resampling_fn_seg_kwargs": {**trilinear, "is_seg": True},
        "resampling_fn_probabilities_kwargs": trilinear,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": stages,
                "features_per_stage": plan.network.features,
                "conv_op": "torch.nn.modules.conv.Conv3d",
                "kernel_sizes": [[3, 3, 3]] * stages,
                "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
                "n_conv_per_stage": [plan.network.convolutions] * stages,
                "n_conv_per_stage_decoder": [plan.network.convolutions] * (stages - 1),
                "conv_bias": True,
                "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": False,
    }
    plans = {"transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "configurations": {configuration: chosen}}
    return inference_plans(plans, configuration, "train.plan")


def with_threads(plans: dict[str, Any], threads: int) -> dict[str, Any]:
    """Return plans whose torch resampling works with ``threads`` threads instead of 4, for preprocessing only.

    The result does not depend on that number, so it stays out of the plans of a bundle.
    """
    out = copy.deepcopy(plans)
    for configuration in out["configurations"].values():
        for name in ("resampling_fn_data", "resampling_fn_seg"):
            if configuration[name] == "resample_torch_fornnunet":
                configuration[f"{name}_kwargs"]["num_threads"] = threads
    return out
