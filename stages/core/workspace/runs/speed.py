"""How fast this machine trains, measured with a few steps of the network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import Any

#: Steps that are timed, after one that is not.
_TIMED = 3


def seconds_per_step(architecture: Mapping[str, Any], shape: tuple[int, ...], threads: int) -> float:
    """Return how long one step of training takes on this machine's CPU: the median of a few, in seconds.

    Parameters
    ----------
    architecture : of the network, as nnU-Net's plans hold it
    shape : of a batch: images, channels, and the patch in voxels
    threads : for torch; the number that was set before is set again afterwards
    """
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            input_channels=shape[1],
            output_channels=2,
            allow_init=False,
            deep_supervision=False,
        )
        batch, times = torch.zeros(shape), []
        for _ in range(1 + _TIMED):
            start = time.perf_counter()
            network(batch).square().mean().backward()
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return median(times[1:])
