"""The GPUs that the installed build of torch can use."""

from __future__ import annotations

from typing import NamedTuple


class Gpu(NamedTuple):
    """Name and memory (bytes) of a GPU."""

    name: str
    memory: int


def gpus() -> list[Gpu]:
    """List the GPUs; empty without a driver or with a build of torch for the CPU. Loading torch takes about 2 s."""
    import torch

    if not torch.cuda.is_available():
        return []
    devices = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return [Gpu(device.name, int(device.total_memory)) for device in devices]
