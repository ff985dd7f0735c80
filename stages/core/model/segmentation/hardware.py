"""The GPUs that the installed build of torch can use, and the memory that this process took."""

from __future__ import annotations

import resource
import sys
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


def peak_memory_mb() -> int:
    """Return the largest memory (MB) that this process has had so far."""
    kilobyte = 1024 if sys.platform == "darwin" else 1  # macOS counts bytes, Linux kilobytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte / 1024)
