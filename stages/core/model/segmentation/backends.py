"""How far OpenVINO and torch are apart on one volume. Torch is the reference."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from ...base.errors import BundleError
from ...images.volumes import Volume
from ..bundle.content import Bundle
from .predictor import Predictor
from .settings import Segment


def compare_backends(bundle: Bundle, volume: Volume, threads: int) -> dict[str, Any]:
    """Segment a volume with both backends, and return versions, largest difference of probability, and volumes (mm3).

    Masks keep three decimals, so that rounding alone gives a difference of 0.001. Where OpenVINO cannot compute the
    network, ``problem`` says why.

    Parameters
    ----------
    bundle : a bundle that was read and verified
    volume : any image; a neck shows most
    threads : of the CPU
    """
    settings = Segment(
        datasets=[], contrasts=[], shards=[0], step=1.0, mirror=False, threshold=0.5, largest_component=False,
        device="cpu", backend="torch", threads=threads,
    )  # fmt: skip
    versions = {name: version(name) for name in ("openvino", "torch")}
    reference = Predictor(bundle, settings)(volume)
    try:
        found = Predictor(bundle, settings.by("openvino"))(volume)
    except BundleError as error:
        return {"versions": versions, "problem": str(error)}
    voxel_mm3 = float(np.prod(volume.spacing_mm))
    return {
        "versions": versions,
        "most_different_probability": round(float(np.abs(found - reference).max()), 4),
        "volume_mm3": {
            name: round(float(mask.sum(dtype=np.float64)) * voxel_mm3, 3)
            for name, mask in (("torch", reference), ("openvino", found))
        },
    }
