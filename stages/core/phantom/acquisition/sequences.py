"""Signal equations: what one tissue gives under one protocol. Ideal pulses, one relaxation time a tissue, no flow."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, radians, sin

from .tissues import Properties

#: Share of the magnetisation that MP2RAGE's adiabatic pulse inverts, doi:10.1016/j.neuroimage.2009.10.002.
INVERSION_EFFICIENCY = 0.96


@dataclass(frozen=True)
class Protocol:
    """Sequence timing (ms), flip angles (degrees), b-value (ms/um2).

    MP2RAGE has two trains of ``train`` pulses each, ``train_tr_ms`` apart: their middles lie at ``ti_ms`` and
    ``ti2_ms``, their flip angles are ``flip_deg`` and ``flip2_deg``; ``tr_ms`` is the time between inversions.
    """

    tr_ms: float
    te_ms: float
    flip_deg: float = 90.0
    ti_ms: float = 0.0
    b: float = 0.0
    mt: bool = False
    ti2_ms: float = 0.0
    flip2_deg: float = 0.0
    train: int = 0
    train_tr_ms: float = 0.0


def spin_echo(t: Properties, p: Protocol) -> float:
    """PD (1 - exp(-TR/T1)) exp(-TE/T2) exp(-b ADC)."""
    return t.pd * (1 - exp(-p.tr_ms / t.t1_ms)) * exp(-p.te_ms / t.t2_ms) * exp(-p.b * t.adc)


def fat_suppressed(t: Properties, p: Protocol) -> float:
    """Spin echo with water-selective excitation: the fat part of a tissue gives one twentieth."""
    return spin_echo(t, p) * (1 - 0.95 * t.fat)


def inversion_recovery(t: Properties, p: Protocol) -> float:
    """PD |1 - 2 exp(-TI/T1) / (1 + exp(-TR/T1))| exp(-TE/T2*)."""
    return t.pd * abs(1 - 2 * exp(-p.ti_ms / t.t1_ms) / (1 + exp(-p.tr_ms / t.t1_ms))) * exp(-p.te_ms / t.t2star_ms)


def stir(t: Properties, p: Protocol) -> float:
    """PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2): the magnitude of an inversion recovery spin echo.

    The 90 degree pulse leaves nothing along the field, so that TR - TI before the next inversion decides what is
    inverted. At long TR a tissue is nulled at TI = T1 ln 2: fat, in STIR (Bydder and Young 1985, J Comput Assist
    Tomogr 9:659).
    """
    return t.pd * abs(1 - 2 * exp(-p.ti_ms / t.t1_ms) + exp(-p.tr_ms / t.t1_ms)) * exp(-p.te_ms / t.t2_ms)


def psir(t: Properties, p: Protocol) -> float:
    """PD (1 - 2 exp(-TI/T1) / (1 + exp(-TR/T1))) exp(-TE/T2*): inversion recovery with its sign.

    A reference image gives the phase that a magnitude would lose (doi:10.1002/mrm.10051): negative before a tissue's
    null at TI = T1 ln(2 / (1 + exp(-TR/T1))), positive after it.
    """
    return t.pd * (1 - 2 * exp(-p.ti_ms / t.t1_ms) / (1 + exp(-p.tr_ms / t.t1_ms))) * exp(-p.te_ms / t.t2star_ms)


def gradient_echo(t: Properties, p: Protocol) -> float:
    """Spoiled: PD sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE/T2*), times 1 - MTR with the saturation pulse on."""
    e1 = exp(-p.tr_ms / t.t1_ms)
    a = radians(p.flip_deg)
    return t.pd * sin(a) * (1 - e1) / (1 - cos(a) * e1) * exp(-p.te_ms / t.t2star_ms) * (1 - t.mtr * p.mt)


def mp2rage_first(t: Properties, p: Protocol) -> float:
    """First gradient echo image of MP2RAGE, signed; see :func:`mp2rage`."""
    return _mp2rage(t, p)[0]


def mp2rage_second(t: Properties, p: Protocol) -> float:
    """Second gradient echo image of MP2RAGE, signed; see :func:`mp2rage`."""
    return _mp2rage(t, p)[1]


def mp2rage(t: Properties, p: Protocol) -> float:
    """UNI = S1 S2 / (S1^2 + S2^2), in [-0.5, 0.5]: free of PD, T2* and the receive field.

    S1 and S2 are the signals in the middle of two trains of small flip angles after one inversion, eq. 1 to 3 of
    doi:10.1016/j.neuroimage.2009.10.002: between pulses and trains the magnetisation m relaxes, m -> 1 + (m - 1) E;
    every pulse leaves m cos(a) and gives m sin(a); the inversion leaves -eff m. The state before the inversion is
    the one that a whole cycle brings back.
    """
    first, second = _mp2rage(t, p)
    power = first * first + second * second
    return first * second / power if power else 0.0


def _mp2rage(t: Properties, p: Protocol) -> tuple[float, float]:
    half = 0.5 * p.train * p.train_tr_ms
    waits = (p.ti_ms - half, p.ti2_ms - p.ti_ms - 2 * half, p.tr_ms - p.ti2_ms - half)
    ea, eb, ec = (exp(-wait / t.t1_ms) for wait in waits)
    e1 = exp(-p.train_tr_ms / t.t1_ms)
    a1, a2 = radians(p.flip_deg), radians(p.flip2_deg)

    def pulses(m: float, angle: float, n: float) -> float:
        decay = cos(angle) * e1
        return float(m * decay**n + (1 - e1) * (1 - decay**n) / (1 - decay))

    def cycle(m: float) -> tuple[float, float, float]:
        """Magnetisation in the middle of both trains and at the end, from ``m`` before the inversion."""
        m = 1 + (-INVERSION_EFFICIENCY * m - 1) * ea
        first = pulses(m, a1, p.train / 2)
        m = 1 + (pulses(first, a1, p.train / 2) - 1) * eb
        second = pulses(m, a2, p.train / 2)
        return first, second, 1 + (pulses(second, a2, p.train / 2) - 1) * ec

    # A cycle is affine in m: two values give the one that it maps to itself.
    at_zero, at_one = cycle(0.0)[2], cycle(1.0)[2]
    steady = at_zero / (1 + at_zero - at_one)
    first, second, _ = cycle(steady)
    scale = t.pd * exp(-p.te_ms / t.t2star_ms)
    return scale * sin(a1) * first, scale * sin(a2) * second
