"""Effects of a scanner on the images: receive field, noise, and the timing of its manufacturer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from .sequences import AcquisitionProtocol

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Scanner:
    """Effects of the scanner of one site.

    Attributes
    ----------
    manufacturer : as in participants.tsv
    bias : SD of the logarithm of the bias field
    coil : relative gain of signal per 10 mm towards the back of the neck
    noise : factor for the noise of every contrast
    blur : SD of the point spread function within slices, in voxels
    tr, te, ti : factors for the times of the protocol
    """

    manufacturer: str
    bias: float = 0.08
    coil: float = 0.06
    noise: float = 1.0
    blur: float = 0.35
    tr: float = 1.0
    te: float = 1.0
    ti: float = 1.0

    def protocol(self, p: AcquisitionProtocol) -> AcquisitionProtocol:
        """Return a protocol with the times of this manufacturer."""
        return replace(p, tr_ms=p.tr_ms * self.tr, te_ms=p.te_ms * self.te, ti_ms=p.ti_ms * self.ti,
                       ti2_ms=p.ti2_ms * self.ti)  # fmt: skip


def smooth_field(shape: tuple[int, ...], nodes: tuple[int, ...], rng: np.random.Generator) -> Float32:
    """Return a smooth random field (nx, ny, nz) without unit, mean near 0 and SD near 1.

    It is a cubic spline through normally distributed values at ``nodes`` points along each axis.
    """
    field = rng.standard_normal(nodes).astype(np.float32)
    for k, (n, m) in enumerate(zip(shape, nodes, strict=True)):
        degree = min(3, m - 1)
        spline = make_interp_spline(np.linspace(0, 1, m), np.eye(m), k=degree)
        matrix = spline(np.linspace(0, 1, n)).astype(np.float32)
        field = np.moveaxis(np.tensordot(matrix, field, axes=(1, k)), 0, k)
    return np.ascontiguousarray(field)


def bias_field(shape: tuple[int, ...], rng: np.random.Generator, strength: float) -> Float32:
    """Return a smooth positive field (nx, ny, nz) with mean near 1; ``strength`` is the SD of its logarithm."""
    field = smooth_field(shape, (4, 4, 4), rng)
    out: Float32 = np.exp(np.float32(strength / max(float(field.std()), 1e-3)) * field)
    return out


def gaussian(signal: Float32, sd: float, rng: np.random.Generator) -> Float32:
    """Return a signal with Gaussian noise of standard deviation ``sd``, in the unit of the signal."""
    out: Float32 = signal + np.float32(sd) * rng.standard_normal(signal.shape, dtype=np.float32)
    return out


def rician(signal: Float32, sd: float, rng: np.random.Generator) -> Float32:
    """Return the magnitude of a signal with complex noise; ``sd`` is the SD of real and imaginary part."""
    real = signal + sd * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sd * rng.standard_normal(signal.shape, dtype=np.float32)
    out: Float32 = np.hypot(real, imaginary)
    return out
