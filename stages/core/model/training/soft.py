"""A loss for targets that are shares: how much of a voxel the cord fills."""

from __future__ import annotations

import torch
from torch import nn


class SoftLoss(nn.Module):
    """Twice the cross-entropy plus one minus Dice, both for shares in [0, 1]; 0 and 1 are masks as always.

    The Dice of shares is that of doi:10.48550/arXiv.2303.16296, which is 1 only where prediction and target are
    equal; the usual one rewards a network that makes a boundary harder than it is. Its sums run over the batch, since a
    patch may hold no cord.
    """

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits (b, 2, ...) against the share of the cord (b, 1, ...)."""
        logit = (output[:, 1:] - output[:, :1]).float()
        share = target.float()
        crossed = nn.functional.binary_cross_entropy_with_logits(logit, share)
        chance = torch.sigmoid(logit)
        total = chance.sum() + share.sum()
        dice = (total - (chance - share).abs().sum() + 1) / (total + 1)
        loss: torch.Tensor = 2 * crossed + 1 - dice
        return loss
