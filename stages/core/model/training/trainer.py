"""The nnU-Net trainer: settings from params, a seed for each epoch, checkpoints that are read without unpickling."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from time import time
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from ...base.errors import BundleError
from ...base.files import whole_file
from .painted import PaintedBatches
from .schedule import Average, CosineSchedule
from .settings import Train
from .soft import SoftLoss

#: Report of one epoch: epoch, train_loss, val_loss, dice, learning_rate, seconds.
Progress = dict[str, float]
#: Logarithm of the odds that a voxel is no cord, before anything is learned.
PRIOR = math.log(99)


class ContrastRemapTransform(ImageOnlyTransform):  # type: ignore[misc]
    """Map the intensities of a z-scored patch through a random piecewise-linear curve.

    The curve need not be monotonic: it can make fluid dark and cord bright, or the reverse, so that one image teaches
    many contrasts. The idea is that of SynthSeg (doi:10.1016/j.media.2023.102789), but no label maps are needed.
    """

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:  # noqa: ARG002 - the base class's signature
        # nnU-Net's loader seeds the global generators of torch and numpy, and every transform draws from them
        draw = np.random.mtrand._rand
        knots = int(draw.randint(4, 9))
        return {
            "x": np.sort(draw.uniform(-2.5, 3.5, knots)),
            "y": draw.uniform(-2.0, 2.0, knots),
            "keep": float(draw.uniform(0.0, 0.6)),
        }

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        values = img.numpy()
        curve = np.interp(values, params["x"], params["y"]).astype(np.float32)
        mixed = params["keep"] * values + (1 - params["keep"]) * curve
        spread = float(mixed.std())
        if spread < 1e-3:  # a flat curve would leave no contrast
            return img
        return torch.from_numpy((mixed - float(mixed.mean())) / spread)


class CordTrainer(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net's trainer with the settings of ``params.yaml``.

    Use :func:`trainer_class` to make one: it binds the settings, because nnU-Net's constructor records its own
    arguments by name and accepts no others.
    """

    settings: Train
    maps: list[Path]
    on_progress: Callable[[Progress], None]

    def __init__(
        self, plans: dict[str, Any], configuration: str, fold: int, dataset_json: dict[str, Any], device: torch.device
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.settings.epochs
        self.num_iterations_per_epoch = self.settings.iterations
        self.num_val_iterations_per_epoch = self.settings.validation_iterations
        self.save_every = self.settings.save_every
        self.initial_lr = self.settings.optimiser.learning_rate
        self.weight_decay = self.settings.optimiser.weight_decay

    def initialize(self) -> None:
        """Lay out 3-D weights channels-last: a step then takes about 0.6 of the time on a CPU, the same on a GPU."""
        super().initialize()
        if len(self.configuration_manager.patch_size) == 3:
            self.network.to(memory_format=torch.channels_last_3d)
        if self.settings.bfloat16:  # of the network alone: loss and backward pass stay outside, as torch advises
            self.network.forward = torch.autocast(self.device.type, torch.bfloat16)(self.network.forward)
        if self.settings.loss == "soft":
            # The first answer is the usual share of cord, 1 %, and not one half (doi:10.1109/ICCV.2017.324): otherwise
            # the first hundreds of steps teach that most voxels are no cord, and nothing else.
            decoder: Any = self.plain_network.decoder
            for layer in decoder.seg_layers:
                nn.init.constant_(layer.bias[:1], 0.5 * PRIOR)
                nn.init.constant_(layer.bias[1:], -0.5 * PRIOR)
        decay = self.settings.optimiser.average
        self.average = Average(self.plain_network, decay) if decay else None

    @property
    def plain_network(self) -> nn.Module:
        """The network without the layers that train on several GPUs or compile it."""
        network = self.network.module if self.is_ddp else self.network
        plain: nn.Module = getattr(network, "_orig_mod", network)
        return plain

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Train one step, with the batch laid out like the weights."""
        if len(self.configuration_manager.patch_size) == 3:
            batch["data"] = batch["data"].to(memory_format=torch.channels_last_3d)
        step: dict[str, Any] = super().train_step(batch)
        if self.average is not None:
            self.average.update(self.plain_network)
        return step

    def _build_loss(self) -> Any:
        """Return nnU-Net's loss, or that for shares with nnU-Net's weights of deep supervision."""
        loss = super()._build_loss()
        if self.settings.loss == "nnunet":
            return loss
        if isinstance(loss, DeepSupervisionWrapper):
            return DeepSupervisionWrapper(SoftLoss(), loss.weight_factors)
        return SoftLoss()

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Return nnU-Net's loaders; a share of the training batches is painted."""
        training, validation = super().get_dataloaders()
        painted = self.settings.painted
        self.painted = None
        if painted.share:
            self.painted = PaintedBatches(
                self.maps,
                self.configuration_manager.patch_size,
                self._get_deep_supervision_scales(),
                batch_size=self.batch_size,
                seed=self.settings.seed * 100_003 + self.fold,
                iterations=self.num_iterations_per_epoch,
                inwards_mm=painted.inwards_mm,
                voxel_mm=self.configuration_manager.spacing[0],
                threads=max(1, self.settings.workers),
            )
            training = self._mixed(training, self.painted, painted.share)
        return training, validation

    def _mixed(self, own: Any, painted: PaintedBatches, share: float) -> Iterator[Any]:
        while True:
            # Drawn from the generator that every epoch seeds. With a share of 1 the own data are never read.
            yield next(painted) if share == 1 or np.random.mtrand._rand.uniform() < share else next(own)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Return the optimiser and the schedule of the settings."""
        chosen = self.settings.optimiser
        if chosen.name == "SGD":
            optimiser, schedule = super().configure_optimizers()
        else:
            optimiser = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
            schedule = PolyLRScheduler(optimiser, self.initial_lr, self.num_epochs)
        if chosen.schedule == "cosine":
            schedule = CosineSchedule(optimiser, self.initial_lr, self.num_epochs, chosen.warmup)
        return optimiser, schedule

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, Any, Any, Any]:  # noqa: N802
        """Mirror along the axes of the settings only, in training and at inference."""
        rotation, dummy_2d, initial_patch, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        mirror = tuple(self.settings.augmentation.mirror_axes) or None
        self.inference_allowed_mirroring_axes = mirror
        return rotation, dummy_2d, initial_patch, mirror

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> Any:
        """Return nnU-Net's augmentation with the contrast remap after the spatial transform."""
        composed = nnUNetTrainer.get_training_transforms(*args, **kwargs)
        for transform in composed.transforms:
            inner = getattr(transform, "transform", None)
            if isinstance(inner, GaussianBlurTransform):
                # It would choose its algorithm by timing, which gives another result on a busy machine.
                inner.benchmark = False
        if self.settings.augmentation.contrast_remap > 0:
            remap = RandomTransform(
                ContrastRemapTransform(), apply_probability=self.settings.augmentation.contrast_remap
            )
            composed.transforms.insert(1, remap)
        return composed

    def on_epoch_start(self) -> None:
        """Seed each epoch, so that it draws the same numbers whether or not the run was interrupted before it."""
        seed = (self.settings.seed * 100_003 + self.fold * 1_009 + self.current_epoch) % 2**32
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - nnU-Net's loader and transforms draw from the global generator
        torch.manual_seed(seed)
        if self.painted is not None:
            self.painted.start(self.current_epoch)
        super().on_epoch_start()

    def on_epoch_end(self) -> None:
        """Report the epoch and save every ``save_every`` epochs. No best checkpoint and no plot: nothing uses them."""
        self.logger.log("epoch_end_timestamps", time(), self.current_epoch)
        latest = {
            key: self.logger.get_value(key, step=-1)
            for key in ("train_losses", "val_losses", "mean_fg_dice", "lrs", "epoch_start_timestamps")
        }
        if not np.isfinite(latest["train_losses"]):
            raise BundleError(
                f"Training diverged: the loss of epoch {self.current_epoch} is {latest['train_losses']}. "
                f"Lower train.optimiser.learning_rate ({self.initial_lr}); the last good state is kept."
            )
        self.on_progress(
            {
                "epoch": float(self.current_epoch),
                "train_loss": float(latest["train_losses"]),
                "val_loss": float(latest["val_losses"]),
                "dice": float(latest["mean_fg_dice"]),
                "learning_rate": float(latest["lrs"]),
                "seconds": round(time() - float(latest["epoch_start_timestamps"]), 2),
            }
        )
        if (self.current_epoch + 1) % self.save_every == 0 and self.current_epoch != self.num_epochs - 1:
            self.save_checkpoint(str(Path(self.output_folder) / "checkpoint_latest.pth"))
        self.current_epoch += 1

    def print_to_log_file(self, *args: Any, add_timestamp: bool = True, **_: bool) -> None:
        """Write nnU-Net's messages to its log file only; the terminal shows the progress bar."""
        super().print_to_log_file(*args, also_print_to_console=False, add_timestamp=add_timestamp)

    def plot_network_architecture(self) -> None:
        """Draw nothing: the drawing needs a package that is no longer maintained."""

    def _save_debug_information(self) -> None:
        """Write nothing: the file would record the host's name."""

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint of tensors and plain numbers only, whole or not at all."""
        if self.local_rank != 0:
            return
        state = {
            "network_weights": self.plain_network.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "optimizer_state": self.optimizer.state_dict(),
            "grad_scaler_state": None if self.grad_scaler is None else self.grad_scaler.state_dict(),
            "logging": json.dumps(self.logger.get_checkpoint(), default=_plain),
            "current_epoch": self.current_epoch + 1,
        }
        with whole_file(Path(filename)) as part:
            torch.save(state, part)

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Read a checkpoint of :meth:`save_checkpoint`. Anything but tensors and plain values is refused.

        Raises
        ------
        BundleError
            The file is damaged, holds other objects, or does not fit the network.
        """
        path = Path(filename_or_checkpoint)
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.plain_network.load_state_dict(state["network_weights"])
            if self.average is not None:
                self.average.load(state["average"])
            self.optimizer.load_state_dict(state["optimizer_state"])
            if self.grad_scaler is not None and state["grad_scaler_state"] is not None:
                self.grad_scaler.load_state_dict(state["grad_scaler_state"])
            self.logger.load_checkpoint(json.loads(state["logging"]))
            self.current_epoch = int(state["current_epoch"])
        except (UnpicklingError, RuntimeError, KeyError, ValueError, TypeError, EOFError, OSError) as error:
            raise BundleError(
                f"{path} cannot be resumed from ({str(error).splitlines()[0]}); delete {path.parent} to start again."
            ) from error


def trainer_class(settings: Train, maps: list[Path], on_progress: Callable[[Progress], None]) -> type[CordTrainer]:
    """Return a trainer class with ``settings`` bound to it.

    Parameters
    ----------
    settings : block ``train`` of params
    maps : painted anatomies, used where ``painted.share`` is not 0
    on_progress : called after each epoch
    """
    bound = {"settings": settings, "maps": maps, "on_progress": staticmethod(on_progress)}
    return type("CordTrainer", (CordTrainer,), bound)


def _plain(value: Any) -> float:
    """Turn numpy scalars into plain numbers for JSON."""
    return float(value)
