"""Settings of the stage `segment`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ...base.params import Count, Name, Settings
from ..spread.cluster import LOCAL, NONE

#: Device -> the backend that is fast there.
FAST = {"cpu": "openvino", "cuda": "torch"}


def _scheduler(value: str) -> str:
    kind, _, rest = value.partition("://")
    if value not in {NONE, LOCAL} and not (kind in {"tcp", "tls"} and rest.rpartition(":")[2].isdigit()):
        raise ValueError(f"must be {NONE}, {LOCAL}, or the address of a Dask scheduler, such as tcp://login-1:8786")
    return value


class Segment(Settings):
    """How the monitored images are segmented.

    ``step``: distance of neighbouring tiles in parts of a tile. ``mirror``: average over mirrored images, where the
    bundle allows it. ``threshold``: probability from which a voxel belongs to the binary mask. ``largest_component``:
    drop all other components. ``coarse_to_fine``: a localiser finds the cord, and the bundle segments what lies around
    it; otherwise whole images. ``backend``: what computes the network. On a CPU OpenVINO is about three times as fast
    as torch, which is the reference and the only one for GPUs (``device: cuda``). ``scheduler``: ``none``, ``local``
    or the address of a Dask scheduler; it does not change the output.
    """

    block: ClassVar = "segment"

    datasets: list[Name]
    contrasts: list[Name]
    shards: list[Annotated[int, Field(ge=0)]]
    step: Annotated[float, Field(gt=0, le=1)]
    mirror: bool
    threshold: Annotated[float, Field(gt=0, lt=1)]
    largest_component: bool
    coarse_to_fine: bool = False
    device: Literal["cpu", "cuda"]
    backend: Literal["openvino", "torch"]
    threads: Count
    scheduler: Annotated[str, AfterValidator(_scheduler)] = NONE

    @model_validator(mode="after")
    def _gpus_need_torch(self) -> Segment:
        if self.device == "cuda" and self.backend != "torch":
            raise ValueError("with device cuda, backend must be torch: OpenVINO computes on the CPU")
        if self.device == "cuda" and self.scheduler == LOCAL:
            raise ValueError(
                "with device cuda, scheduler local is of no use: its processes would share the GPU's memory"
            )
        return self

    def on(self, device: Literal["cpu", "cuda"]) -> Segment:
        """Return the settings for a device. If it is another one, the backend changes to the one that is fast there."""
        if device == self.device:
            return self
        return self.model_copy(update={"device": device, "backend": FAST[device]})

    def by(self, backend: Literal["openvino", "torch"]) -> Segment:
        """Return the settings for a backend. With OpenVINO, which computes on the CPU alone, the device becomes cpu."""
        return self.model_copy(update={"backend": backend, **({"device": "cpu"} if backend == "openvino" else {})})
