"""Plan and budget of a training by the hardware that is there."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

from ...base.errors import SettingsError
from ...model.segmentation.hardware import gpus
from ...model.training.plans import fixed_plans
from ...model.training.settings import Train
from .speed import seconds_per_step

#: Profiles on which a new one is based: with a GPU nnU-Net's own plan in full size, else a small network.
WITH_GPU, WITHOUT_GPU = "spine-generic", "demo"
#: Part of the time of a training on the CPU that the network takes; the rest is augmentation and validation.
NETWORK_SHARE = 0.5
#: A training on the CPU has at least and at most so many epochs.
EPOCHS = (10, 300)


class Budget(NamedTuple):
    """What a new profile says of the hardware: the profile it is based on, changed keys, and a sentence about time."""

    base: str
    changes: dict[str, dict[str, Any]]
    told: str


def choose_base(found: bool | None = None) -> str:
    """Return the profile on which a new one is based; ``found``: whether there is a GPU, None to look."""
    return WITH_GPU if (bool(gpus()) if found is None else found) else WITHOUT_GPU


def budget(base: str, settings: Train, hours: float) -> Budget:
    """Return the budget of a training, for a CPU from a few timed steps of the network on this machine.

    Parameters
    ----------
    base : the profile on which a new one is based
    settings : its training
    hours : how long a training on the CPU may take

    Raises
    ------
    SettingsError
        ``hours`` is no positive number.
    """
    if not 0.0 < hours < math.inf:
        raise SettingsError(f"--hours is {hours:g}; expected how many hours a training may take, such as 8.")
    cores = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    changes: dict[str, dict[str, Any]] = {"segment": {"threads": cores}}
    if settings.device == "cuda" or settings.plan is None:
        told = f"{len(settings.folds)} folds of {settings.epochs} epochs with nnU-Net's own plan: days on one GPU"
        return Budget(base, changes, told)
    changes["train"] = {"threads": cores}
    changes["floor"] = {"threads": 1 if cores > 1 else 2}
    plans = fixed_plans(settings.plan, settings.configuration)["configurations"][settings.configuration]
    shape = (settings.plan.batch_size, 1, *settings.plan.patch_size)
    step_s = seconds_per_step(plans["architecture"], shape, cores)
    epoch_s = settings.iterations * step_s / NETWORK_SHARE
    epochs = min(max(round(hours * 3600 / epoch_s / len(settings.folds)), EPOCHS[0]), EPOCHS[1])
    changes["train"]["epochs"] = epochs
    minutes = len(settings.folds) * epochs * epoch_s / 60
    told = (f"about {minutes / 60:.1f} h for" if minutes >= 90 else f"about {max(1, round(minutes))} min for") + (
        f" {epochs} epochs on {cores} cores, without a GPU (a step of the network takes "
        f"{step_s:.2f} s here, and augmentation is taken to last as long)"
    )
    return Budget(base, changes, told)
