"""Learning rate over the epochs, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn


class CosineSchedule:
    """A learning rate that rises during the warm-up and then falls to 0 like a cosine (doi:10.48550/arXiv.1608.03983).

    nnU-Net calls :meth:`step` at the start of each epoch.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, rate: float, epochs: int, warmup: int) -> None:
        """Bind an optimiser; ``rate`` is the highest rate, reached after ``warmup`` of ``epochs``."""
        self.optimiser, self.rate, self.epochs, self.warmup = optimiser, rate, epochs, warmup

    def at(self, epoch: int) -> float:
        """Return the rate of an epoch, counted from 0."""
        if epoch < self.warmup:
            return self.rate * (epoch + 1) / (self.warmup + 1)
        passed = (epoch - self.warmup) / max(1, self.epochs - self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * passed))

    def step(self, epoch: int) -> None:
        """Set the rate of an epoch."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.at(epoch)


class Average:
    """The exponential moving average of the weights, which varies less than those of the last step.

    At first the average follows faster, so that it forgets the initial weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the weights of ``network``; ``decay`` is the share of the average that stays in a step."""
        self.decay, self.steps = decay, 0
        self.weights = {name: value.detach().clone() for name, value in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in network.named_parameters():
            self.weights[name].lerp_(value, 1 - keep)

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        """Give the network the averaged weights."""
        for name, value in network.named_parameters():
            value.copy_(self.weights[name])

    def state(self) -> dict[str, object]:
        """Return what a checkpoint holds."""
        return {"steps": self.steps, "weights": self.weights}

    def load(self, state: Mapping[str, object]) -> None:
        """Continue from what :meth:`state` returned.

        Raises
        ------
        KeyError, RuntimeError, TypeError
            It does not fit the network.
        """
        steps, weights = state["steps"], state["weights"]
        if not isinstance(steps, int) or not isinstance(weights, dict):
            raise TypeError("the average is not a table of weights")
        for name, held in self.weights.items():
            held.copy_(weights[name])
        self.steps = steps
