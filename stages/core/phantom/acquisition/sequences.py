"""Signal equations: the signal of a tissue under a protocol. Pulses are ideal, and nothing flows.

Signals have the unit of proton density: water that is fully relaxed gives 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, radians, sin

from .tissues import Properties

#: Share of the magnetisation that MP2RAGE's adiabatic pulse inverts, doi:10.1016/j.neuroimage.2009.10.002.
INVERSION_EFFICIENCY = 0.96


@dataclass(frozen=True)
class AcquisitionProtocol:
    """Timing and flip angles of a sequence.

    Attributes
    ----------
    tr_ms, te_ms, ti_ms : repetition, echo and inversion time; for MP2RAGE ``tr_ms`` is the time between inversions
    flip_deg : flip angle
    b : diffusion weighting, ms/um2
    mt : whether the magnetisation transfer pulse is on
    ti2_ms, flip2_deg : inversion time and flip angle of the second train of MP2RAGE
    train, train_tr_ms : number of pulses in each train of MP2RAGE, and the time between them; an inversion time is the
        time between the inversion and the middle of a train
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


def spin_echo(t: Properties, p: AcquisitionProtocol) -> float:
    """PD (1 - exp(-TR/T1)) exp(-TE/T2) exp(-b ADC)."""
    return t.pd * (1 - exp(-p.tr_ms / t.t1_ms)) * exp(-p.te_ms / t.t2_ms) * exp(-p.b * t.adc)


def fat_suppressed(t: Properties, p: AcquisitionProtocol) -> float:
    """Spin echo with water-selective excitation: of the signal of fat, one twentieth remains."""
    return spin_echo(t, p) * (1 - 0.95 * t.fat)


def inversion_recovery(t: Properties, p: AcquisitionProtocol) -> float:
    """PD |1 - 2 exp(-TI/T1) / (1 + exp(-TR/T1))| exp(-TE/T2*)."""
    return t.pd * abs(1 - 2 * exp(-p.ti_ms / t.t1_ms) / (1 + exp(-p.tr_ms / t.t1_ms))) * exp(-p.te_ms / t.t2star_ms)


def stir(t: Properties, p: AcquisitionProtocol) -> float:
    """PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2): the magnitude of an inversion recovery spin echo.

    After the 90 degree pulse no magnetisation is left along the field; it recovers during TR - TI until the next
    inversion. At long TR, a tissue gives no signal when TI = T1 ln 2. In STIR this tissue is fat (Bydder and Young
    1985, J Comput Assist Tomogr 9:659).
    """
    return t.pd * abs(1 - 2 * exp(-p.ti_ms / t.t1_ms) + exp(-p.tr_ms / t.t1_ms)) * exp(-p.te_ms / t.t2_ms)


def psir(t: Properties, p: AcquisitionProtocol) -> float:
    """PD (1 - 2 exp(-TI/T1) / (1 + exp(-TR/T1))) exp(-TE/T2*): inversion recovery with its sign.

    The sign comes from the phase of a reference image (doi:10.1002/mrm.10051). The signal of a tissue is negative as
    long as TI is shorter than T1 ln(2 / (1 + exp(-TR/T1))), where it is zero, and positive after that.
    """
    return t.pd * (1 - 2 * exp(-p.ti_ms / t.t1_ms) / (1 + exp(-p.tr_ms / t.t1_ms))) * exp(-p.te_ms / t.t2star_ms)


def gradient_echo(t: Properties, p: AcquisitionProtocol) -> float:
    """PD sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE/T2*), spoiled; times 1 - MTR where the saturation pulse is on."""
    e1 = exp(-p.tr_ms / t.t1_ms)
    a = radians(p.flip_deg)
    return t.pd * sin(a) * (1 - e1) / (1 - cos(a) * e1) * exp(-p.te_ms / t.t2star_ms) * (1 - t.mtr * p.mt)


def mp2rage_first(t: Properties, p: AcquisitionProtocol) -> float:
    """Return the signed signal in the first gradient echo image of MP2RAGE; see :func:`mp2rage`."""
    return _mp2rage(t, p)[0]


def mp2rage_second(t: Properties, p: AcquisitionProtocol) -> float:
    """Return the signed signal in the second gradient echo image of MP2RAGE; see :func:`mp2rage`."""
    return _mp2rage(t, p)[1]


def mp2rage(t: Properties, p: AcquisitionProtocol) -> float:
    """UNI = S1 S2 / (S1^2 + S2^2), in [-0.5, 0.5]: it does not depend on PD, T2* and the receive field.

    S1 and S2 are the signals in the middle of two trains of pulses with small flip angles after one inversion (eq. 1 to
    3 of doi:10.1016/j.neuroimage.2009.10.002). Between pulses the magnetisation m relaxes, m -> 1 + (m - 1) E. A pulse
    leaves m cos(a) and gives the signal m sin(a). The inversion leaves -efficiency * m. In the steady state a whole
    cycle returns to the same m.
    """
    first, second = _mp2rage(t, p)
    power = first * first + second * second
    return first * second / power if power else 0.0


def _mp2rage(t: Properties, p: AcquisitionProtocol) -> tuple[float, float]:
    """Return the signed signals S1 and S2 in the steady state."""
    half = 0.5 * p.train * p.train_tr_ms
    waits = (p.ti_ms - half, p.ti2_ms - p.ti_ms - 2 * half, p.tr_ms - p.ti2_ms - half)
    ea, eb, ec = (exp(-wait / t.t1_ms) for wait in waits)
    e1 = exp(-p.train_tr_ms / t.t1_ms)
    a1, a2 = radians(p.flip_deg), radians(p.flip2_deg)

    def pulses(m: float, angle: float, n: float) -> float:
        """Return the magnetisation after ``n`` pulses."""
        decay = cos(angle) * e1
        return float(m * decay**n + (1 - e1) * (1 - decay**n) / (1 - decay))

    def cycle(m: float) -> tuple[float, float, float]:
        """Return m in the middle of both trains and at the end of the cycle, for ``m`` before the inversion."""
        m = 1 + (-INVERSION_EFFICIENCY * m - 1) * ea
        first = pulses(m, a1, p.train / 2)
        m = 1 + (pulses(first, a1, p.train / 2) - 1) * eb
        second = pulses(m, a2, p.train / 2)
        return first, second, 1 + (pulses(second, a2, p.train / 2) - 1) * ec

    # The end of a cycle is a linear function of m; two of its values give the m that it maps to itself.
    at_zero, at_one = cycle(0.0)[2], cycle(1.0)[2]
    steady = at_zero / (1 + at_zero - at_one)
    first, second, _ = cycle(steady)
    scale = t.pd * exp(-p.te_ms / t.t2star_ms)
    return scale * sin(a1) * first, scale * sin(a2) * second
