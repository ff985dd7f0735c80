"""The cosine schedule and the running average of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stages.core.model.training.schedule import Average, CosineSchedule


def test_the_rate_rises_to_its_highest_and_then_falls_as_torch_lets_it_fall() -> None:
    layer = nn.Linear(1, 1)
    own = torch.optim.AdamW(layer.parameters(), 0.01)
    schedule = CosineSchedule(own, 0.01, epochs=12, warmup=2)
    torchs = torch.optim.AdamW(layer.parameters(), 0.01)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(torchs, T_max=10)
    rates = []
    for epoch in range(12):
        schedule.step(epoch)
        rates.append(own.param_groups[0]["lr"])
        if epoch >= 2:
            assert rates[-1] == pytest.approx(torchs.param_groups[0]["lr"], abs=1e-9)
            torchs.step()
            oracle.step()
    assert rates[0] < rates[1] < rates[2] == 0.01


def test_the_average_is_that_of_torch_once_it_is_warm() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    average = Average(network, 0.9)
    oracle = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for step in range(300):
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) + (step < 100) * 5)
        average.update(network)
        oracle.update_parameters(network)
    average.copy_to(network)
    for mine, torchs in zip(network.parameters(), oracle.module.parameters(), strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-4, atol=1e-4)


def test_at_first_the_average_forgets_the_initial_weights() -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 100.0)
    average = Average(network, 0.999)
    nn.init.constant_(network.weight, 1.0)
    for _ in range(60):
        average.update(network)
    assert abs(float(average.weights["weight"]) - 1) < 0.01


def test_a_state_of_another_network_is_refused() -> None:
    average = Average(nn.Linear(2, 1), 0.9)
    with pytest.raises(KeyError):
        average.load({"steps": 3, "weights": {}})
    with pytest.raises(TypeError, match="not a table"):
        average.load({"steps": "3", "weights": {}})
