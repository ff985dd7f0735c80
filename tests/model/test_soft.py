"""The loss for shares: its best answer is the share itself, and on masks it is cross-entropy and Dice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.core.model.training.soft import SoftLoss


def _logits(chance: torch.Tensor) -> torch.Tensor:
    logit = torch.logit(chance.clamp(1e-6, 1 - 1e-6))
    return torch.cat([-logit / 2, logit / 2], dim=1)


@given(st.integers(0, 10_000), st.floats(-0.2, 0.2).filter(lambda d: abs(d) > 0.02))
def test_no_answer_is_better_than_the_share(seed: int, off: float) -> None:
    """The usual soft Dice fails this: for it a boundary of 0.3 is better answered with 0 than with 0.3."""
    share = torch.rand((1, 1, 4, 4, 4), generator=torch.Generator().manual_seed(seed)) * 0.6 + 0.2
    loss = SoftLoss()
    assert loss(_logits(share), share) < loss(_logits((share + off).clamp(0, 1)), share)


def test_on_masks_it_is_twice_the_cross_entropy_and_one_minus_dice() -> None:
    rng = np.random.default_rng(0)
    mask = torch.from_numpy((rng.uniform(size=(2, 1, 5, 6, 7)) < 0.3).astype(np.int16))
    output = torch.from_numpy(rng.normal(size=(2, 2, 5, 6, 7)).astype(np.float32))
    chance = torch.softmax(output, dim=1)[:, 1].numpy()
    true = mask[:, 0].numpy()
    entropy = -np.mean(np.log(np.where(true, chance, 1 - chance)))
    dice = 2 * np.minimum(chance, true).sum() / (chance.sum() + true.sum())
    assert float(SoftLoss()(output, mask)) == pytest.approx(2 * entropy + 1 - dice, abs=2e-3)


def test_a_patch_without_cord_has_a_loss_that_training_can_lower() -> None:
    empty = torch.zeros((1, 1, 6, 6, 6))
    few, many = (_logits(torch.full_like(empty, chance)).requires_grad_() for chance in (0.01, 0.3))
    loss = SoftLoss()
    assert loss(few, empty) < loss(many, empty)
    loss(many, empty).backward()
    assert many.grad is not None
    assert many.grad.abs().sum() > 0
