"""The six contrasts of the spine-generic protocol as rows of one table, and their signal equations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, radians, sin

from stages.core.phantom.tissues import TISSUES, Properties, Tissue


@dataclass(frozen=True)
class Protocol:
    """Sequence timing (ms), flip angle (degrees), b-value (ms/um2)."""

    tr_ms: float
    te_ms: float
    flip_deg: float = 90.0
    ti_ms: float = 0.0
    b: float = 0.0
    mt: bool = False


def spin_echo(t: Properties, p: Protocol) -> float:
    """PD (1 - exp(-TR/T1)) exp(-TE/T2) exp(-b ADC)."""
    return t.pd * (1 - exp(-p.tr_ms / t.t1_ms)) * exp(-p.te_ms / t.t2_ms) * exp(-p.b * t.adc)


def fat_suppressed(t: Properties, p: Protocol) -> float:
    """Spin echo with water-selective excitation: the fat part of a tissue gives one twentieth."""
    return spin_echo(t, p) * (1 - 0.95 * t.fat)


def inversion_recovery(t: Properties, p: Protocol) -> float:
    """PD |1 - 2 exp(-TI/T1) / (1 + exp(-TR/T1))| exp(-TE/T2*)."""
    return t.pd * abs(1 - 2 * exp(-p.ti_ms / t.t1_ms) / (1 + exp(-p.tr_ms / t.t1_ms))) * exp(-p.te_ms / t.t2star_ms)


def gradient_echo(t: Properties, p: Protocol) -> float:
    """Spoiled: PD sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE/T2*), times 1 - MTR with the saturation pulse on."""
    e1 = exp(-p.tr_ms / t.t1_ms)
    a = radians(p.flip_deg)
    return t.pd * sin(a) * (1 - e1) / (1 - cos(a) * e1) * exp(-p.te_ms / t.t2star_ms) * (1 - t.mtr * p.mt)


@dataclass(frozen=True)
class Contrast:
    """One contrast: one row.

    Attributes
    ----------
    suffix : BIDS name after the participant
    folder : BIDS folder
    spacing_mm : voxel size along x, y, z
    axcodes : storage orientation
    noise : SD of the noise relative to the cord's signal
    rater_bias : relative area bias of a human rater, from what raters of spine-generic show
    warped_discs : whether the disc labels were carried over from another contrast by registration
    """

    name: str
    suffix: str
    folder: str
    spacing_mm: tuple[float, float, float]
    axcodes: str
    signal: Callable[[Properties, Protocol], float]
    protocol: Protocol
    noise: float
    rater_bias: float
    warped_discs: bool = True

    def signals(self, protocol: Protocol | None = None) -> dict[Tissue, float]:
        """Return the signal of every tissue; white matter = 1."""
        p = protocol or self.protocol
        raw = {tissue: self.signal(t, p) for tissue, t in TISSUES.items()}
        return {tissue: value / raw[Tissue.WHITE] for tissue, value in raw.items()}


_THICK = (0.9, 0.9, 5.0)
CONTRASTS: dict[str, Contrast] = {
    c.name: c
    for c in (
        Contrast("T1w", "T1w", "anat", (1.0, 1.0, 1.0), "RPI", inversion_recovery,
                 Protocol(2000, 3.7, 9, ti_ms=1000), 0.06, -0.034, warped_discs=False),
        Contrast("T2w", "T2w", "anat", (0.8, 0.8, 0.8), "PSR", spin_echo,
                 Protocol(1500, 120), 0.06, 0.045, warped_discs=False),
        Contrast("T2star", "T2star", "anat", (0.5, 0.5, 5.0), "LAS", gradient_echo,
                 Protocol(600, 14, 30), 0.05, 0.005),
        Contrast("MTon", "flip-1_mt-on_MTS", "anat", _THICK, "LAS", gradient_echo,
                 Protocol(35, 3.1, 9, mt=True), 0.06, 0.010),
        Contrast("MToff", "flip-2_mt-off_MTS", "anat", _THICK, "LAS", gradient_echo,
                 Protocol(15, 3.1, 15), 0.06, -0.015),
        Contrast("DWI", "rec-average_dwi", "dwi", _THICK, "LAS", fat_suppressed,
                 Protocol(620, 60, b=0.8), 0.08, 0.020),
    )
}  # fmt: skip
