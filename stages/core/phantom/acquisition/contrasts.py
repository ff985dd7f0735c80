"""The contrasts of the phantom, one row each: six of spine-generic, three of protocols for multiple sclerosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .sequences import (
    AcquisitionProtocol,
    fat_suppressed,
    gradient_echo,
    inversion_recovery,
    mp2rage_first,
    mp2rage_second,
    psir,
    spin_echo,
    stir,
)
from .tissues import TISSUES, Properties, Tissue

Equation = Callable[[Properties, AcquisitionProtocol], float]


class Stored(Enum):
    """The meaning of the integers in an image file; ``rendering/images.py`` writes them."""

    MAGNITUDE = "magnitude"  # Rician noise; air is dark
    SIGNED = "signed"  # real part plus an offset; air is grey
    RATIO = "ratio"  # UNI of MP2RAGE; in air, noise fills the whole range


@dataclass(frozen=True)
class Contrast:
    """One contrast.

    Attributes
    ----------
    name : key in ``PHANTOM_CONTRASTS``
    suffix : end of the BIDS file name, after the participant
    folder : BIDS folder
    spacing_mm : voxel size along x, y, z
    axcodes : storage orientation
    equations : signal equations of the images that the scanner acquires: one, or two for a ratio
    protocol : timing and flip angles
    noise : SD of the noise relative to the cord's signal in the last acquired image
    rater_bias : relative error of the area that a human rater draws, as raters of spine-generic show it
    warped_discs : whether the disc labels came from another contrast by registration, which BIDS names tell
    stored : meaning of the stored integers
    """

    name: str
    suffix: str
    folder: str
    spacing_mm: tuple[float, float, float]
    axcodes: str
    equations: tuple[Equation, ...]
    protocol: AcquisitionProtocol
    noise: float
    rater_bias: float
    warped_discs: bool = True
    stored: Stored = Stored.MAGNITUDE

    def acquired(self, protocol: AcquisitionProtocol | None = None) -> tuple[dict[Tissue, float], ...]:
        """Return the signal of every tissue in every acquired image.

        Signals are relative to the magnitude of white matter in the last image. ``protocol`` replaces that of the
        contrast.
        """
        p = protocol or self.protocol
        raw = [{tissue: equation(t, p) for tissue, t in TISSUES.items()} for equation in self.equations]
        white = abs(raw[-1][Tissue.WHITE])
        return tuple({tissue: value / white for tissue, value in image.items()} for image in raw)

    def signals(self, protocol: AcquisitionProtocol | None = None) -> dict[Tissue, float]:
        """Return the signal of every tissue in the first acquired image, in the unit of :meth:`acquired`."""
        return self.acquired(protocol)[0]


_THICK = (0.9, 0.9, 5.0)
_SAGITTAL = (3.0, 0.7, 0.7)
#: The six contrasts of the spine-generic protocol, doi:10.1038/s41596-021-00588-0. STIR and PSIR: sagittal slices of
#: 3 mm, as guidelines and studies of the cord in multiple sclerosis ask for (doi:10.3174/ajnr.A4656). STIR's TI nulls
#: the fat of tissues.py (a 3 T scanner's is 200 to 230 ms, for fat of shorter T1); its TR and TE are assumed. PSIR's
#: timing is that of Schlaeger 2014, Ann Neurol 76:568 (TR 4000, TE 3.2, TI 400 ms). MP2RAGE: 1 mm, timing assumed
#: within what is published for the cervical cord at 3 T (Forodighasemabadi 2021, ISMRM 3455). Their rater biases are
#: assumed to be those of the contrast that they resemble: bright CSF widens the drawn cord, dark CSF narrows it.
PHANTOM_CONTRASTS: dict[str, Contrast] = {
    c.name: c
    for c in (
        Contrast("T1w", "T1w", "anat", (1.0, 1.0, 1.0), "RPI", (inversion_recovery,),
                 AcquisitionProtocol(2000, 3.7, 9, ti_ms=1000), 0.06, -0.034, warped_discs=False),
        Contrast("T2w", "T2w", "anat", (0.8, 0.8, 0.8), "PSR", (spin_echo,),
                 AcquisitionProtocol(1500, 120), 0.06, 0.045, warped_discs=False),
        Contrast("T2star", "T2star", "anat", (0.5, 0.5, 5.0), "LAS", (gradient_echo,),
                 AcquisitionProtocol(600, 14, 30), 0.05, 0.005),
        Contrast("MTon", "flip-1_mt-on_MTS", "anat", _THICK, "LAS", (gradient_echo,),
                 AcquisitionProtocol(35, 3.1, 9, mt=True), 0.06, 0.010),
        Contrast("MToff", "flip-2_mt-off_MTS", "anat", _THICK, "LAS", (gradient_echo,),
                 AcquisitionProtocol(15, 3.1, 15), 0.06, -0.015),
        Contrast("DWI", "rec-average_dwi", "dwi", _THICK, "LAS", (fat_suppressed,),
                 AcquisitionProtocol(620, 60, b=0.8), 0.08, 0.020),
        Contrast("STIR", "STIR", "anat", _SAGITTAL, "PSR", (stir,),
                 AcquisitionProtocol(4000, 50, ti_ms=265), 0.08, 0.040),
        Contrast("PSIR", "PSIR", "anat", _SAGITTAL, "PIR", (psir,),
                 AcquisitionProtocol(4000, 3.2, 10, ti_ms=400), 0.08, -0.030, stored=Stored.SIGNED),
        Contrast("MP2RAGE", "UNIT1", "anat", (1.0, 1.0, 1.0), "PSR", (mp2rage_first, mp2rage_second),
                 AcquisitionProtocol(4000, 2.5, 7, ti_ms=650, ti2_ms=2000, flip2_deg=6, train=160, train_tr_ms=6.0),
                 0.05, -0.030, stored=Stored.RATIO),
    )
}  # fmt: skip
#: The default set. Its order must not change: random choices from it depend on the order.
SIX = ("T1w", "T2w", "T2star", "MTon", "MToff", "DWI")
NINE = (*SIX, "STIR", "PSIR", "MP2RAGE")
