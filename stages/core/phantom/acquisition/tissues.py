"""Properties of the tissues at 3 T, and the source of each number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Tissue(IntEnum):
    """Tissues of the phantom."""

    AIR = 0
    MUSCLE = 1
    FAT = 2
    MARROW = 3
    CORTEX = 4
    DISC = 5
    CSF = 6
    WHITE = 7
    GREY = 8
    LIGAMENT = 9
    BLOOD = 10
    ROOT = 11
    LESION = 12


@dataclass(frozen=True)
class Properties:
    """One tissue at 3 T.

    Attributes
    ----------
    t1_ms, t2_ms, t2star_ms : relaxation times
    pd : proton density, water = 1
    mtr : magnetisation transfer ratio with the spine-generic pulse, in [0, 1]
    adc : apparent diffusion coefficient in um2/ms, mean over directions
    fat : share of the signal that comes from fat, in [0, 1]; fat suppression removes it
    texture : relative amplitude of fine texture
    """

    t1_ms: float
    t2_ms: float
    t2star_ms: float
    pd: float
    mtr: float
    adc: float
    fat: float = 0.0
    texture: float = 0.0


# Sources, by the letter behind each number:
#  a  Smith 2008, cervical cord at 3 T, doi:10.1002/mrm.21596 (white: T1 876, T2 73 ms; grey: T1 973, T2 76 ms)
#  b  de Bazelaire 2004, 3 T, doi:10.1148/radiol.2303021331 (paravertebral muscle 898/29, L4 marrow 586/49, fat 382/68)
#  c  Stanisz 2005, 3 T, doi:10.1002/mrm.20605 (blood 1932/275, optic nerve 1083/78, cartilage 1168 ms T1)
#  d  Ellingson 2008, doi:10.3174/ajnr.A1064 (mean diffusivity of the whole cord 0.83 um2/ms)
#  e  CSF of the subarachnoid space at 3 T: T1 4.3 s, T2 1.9 s; for T2 see also doi:10.1007/s10334-017-0659-3
#  f  Cohen-Adad 2021, spine-generic, doi:10.1038/s41597-021-00941-8 (white MTR near 0.5, grey below it)
#  g  Whittall 1997, water content of white and grey matter, doi:10.1002/mrm.1910370107
#  h  free water at 37 degrees: ADC 3.0 um2/ms, Holz 2000, doi:10.1039/b005319h
#  x  assumed: chosen so that the tissue looks as it does in images of the protocol; no measurement claimed
TISSUES: dict[Tissue, Properties] = {
    # T1, T2, T2* (x unless said), PD (x unless said), MTR (x unless said), ADC (x unless said)
    Tissue.AIR: Properties(1000.0, 50.0, 1.0, 0.01, 0.0, 0.0),  # no signal: relaxation times do not matter
    Tissue.MUSCLE: Properties(898.0, 29.0, 22.0, 0.80, 0.40, 1.5, texture=0.12),  # b b x x x x
    Tissue.FAT: Properties(382.0, 68.0, 25.0, 0.85, 0.03, 0.1, fat=1.0, texture=0.12),  # b b x x x x
    Tissue.MARROW: Properties(586.0, 49.0, 7.0, 0.55, 0.15, 0.4, fat=0.6, texture=0.15),  # b b x (bone's field) x x x
    Tissue.CORTEX: Properties(300.0, 5.0, 1.0, 0.20, 0.05, 0.2),  # x: hardly any signal
    Tissue.DISC: Properties(1168.0, 60.0, 25.0, 0.75, 0.25, 1.5, texture=0.12),  # c (as cartilage) x x x x x
    Tissue.CSF: Properties(4309.0, 1886.0, 600.0, 1.00, 0.02, 3.0),  # e e x g x h
    Tissue.WHITE: Properties(876.0, 73.0, 30.0, 0.70, 0.50, 0.83, texture=0.02),  # a a x g f d
    Tissue.GREY: Properties(973.0, 76.0, 40.0, 0.80, 0.44, 0.83, texture=0.02),  # a a x g f d
    Tissue.LIGAMENT: Properties(900.0, 15.0, 5.0, 0.45, 0.25, 0.8),  # x: short T2, dark everywhere
    Tissue.BLOOD: Properties(1932.0, 275.0, 40.0, 0.80, 0.08, 2.8, texture=0.3),  # c c x x x x; flow is not modelled
    Tissue.ROOT: Properties(1083.0, 78.0, 30.0, 0.72, 0.40, 1.1),  # c c (as optic nerve) x x x x
    Tissue.LESION: Properties(
        1300.0, 130.0, 60.0, 0.85, 0.35, 1.2
    ),  # x: longer T1 and T2 and less MT than white matter
}
