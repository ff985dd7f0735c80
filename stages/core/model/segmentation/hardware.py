"""The GPUs that torch, as it is installed, can use."""

from __future__ import annotations

from typing import NamedTuple


class Gpu(NamedTuple):
    """Name and memory (bytes) of a GPU."""

    name: str
    memory: int


def gpus() -> list[Gpu]:
    """List the GPUs (about 2 s: torch is loaded for it); empty without a driver or with a build for the CPU."""
    import torch

    if not torch.cuda.is_available():
        return []
    found = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return [Gpu(one.name, int(one.total_memory)) for one in found]
