"""Draw the neck of a participant from a random generator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .geometry import Anatomy
from .parts import Bulk, Ends


def draw_anatomy(rng: np.random.Generator, *, wide: bool = False, sex: str = "F") -> Anatomy:
    """Draw a random anatomy.

    Parameters
    ----------
    rng : source of every random number
    wide : use the far wider ranges of training volumes, with canals, cords and necks that no cohort would have
    sex : "M" or "F"; men's cords are larger (doi:10.1038/s41597-021-00941-8)
    """

    def normal(mean: float, sd: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, sd * (1.6 if wide else 1.0)), low, high))

    def uniform(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    radius = uniform(90, 400) * (-1 if wide and uniform(0, 1) < 0.2 else 1)
    y_poly = (uniform(-1, 1) * 2.0e-5, -1 / (2 * radius), normal(0.0, 0.10, -0.3, 0.3), uniform(-3, 3))
    x_poly = (uniform(-1, 1) * 5e-6, uniform(-1, 1) / 1200, normal(0.0, 0.03, -0.1, 0.1), uniform(-2, 2))
    level = normal(16.0, 1.0, 13.0, 18.5)
    c3 = uniform(0.0, 4.0)
    discs = {3: c3, 2: c3 + level * 1.15 + uniform(-1, 1)}
    for label in (4, 5, 6, 7, 8):
        discs[label] = discs[label - 1] - level * uniform(0.94, 1.04)
    csa = normal(74.0 + (2.5 if sex == "M" else -2.5), 6.5, 60.0 if not wide else 45.0, 90.0 if not wide else 105.0)
    ratio = normal(0.636, 0.035, 0.52, 0.78 if not wide else 0.95)
    exponent = uniform(2.0, 2.35)
    a = np.sqrt(csa / (np.pi * ratio))
    b = a * ratio
    gap_v = normal(3.0, 1.0, 0.6, 6.5) if wide else normal(2.6, 0.7, 0.7, 5.5)  # CSF in front plus behind, halved
    gap_u = max(normal(1.6, 0.8, -0.4, 4.5) + gap_v * 0.5, 0.6)
    room = gap_v - 0.5
    # In a person who lies, the cord can be anywhere between the front and the back of the sac.
    shift = uniform(-0.7, 1.0) * 0.95 if wide else float(np.clip(rng.normal(0.3, 0.5), -1, 1)) * 0.6
    bulk = Bulk(
        body_rl_mm=normal(9.5, 0.9, 6.5, 13),
        body_ap_mm=normal(7.8, 0.6, 5.5, 11),
        disc_mm=normal(2.5, 0.3, 1.5, 3.6),
        cortex_mm=normal(0.8, 0.15, 0.3, 1.5),
        epidural_front_mm=normal(1.0, 0.3, 0.2, 2.5),
        epidural_back_mm=normal(1.8, 0.6, 0.3, 4.5),
        dura_mm=normal(0.45, 0.1, 0.15, 1.2),
        lamina_mm=normal(3.6, 0.5, 2.0, 6.0),
        arch_fraction=normal(0.62, 0.06, 0.4, 0.85),
        spinous_mm=normal(2.4, 0.4, 1.2, 4.5),
        spinous_length_mm=normal(20, 3, 8, 32),
        spinous_slope=uniform(0.2, 0.7),
        pillar_mm=normal(6.2, 0.6, 4, 9),
        artery_mm=normal(1.9, 0.3, 1.0, 3.0),
        airway_mm=normal(8.0, 1.5, 3, 13),
        airway_gap_mm=normal(6.0, 1.5, 2, 14),
        skin_mm=normal(44, 4, 28, 60),
        root_mm=normal(0.45, 0.1, 0.1, 0.9),
        fat_sheet=uniform(0.06, 0.2),
        streaks=uniform(1.0, 2.2),
    )
    return Anatomy(
        x_poly=x_poly,
        y_poly=y_poly,
        discs_s_mm=discs,
        csa_mm2=csa,
        ratio=ratio,
        exponent=exponent,
        enlargement=normal(0.08, 0.03, -0.05, 0.25),
        flattening=normal(0.06, 0.03, -0.05, 0.25),
        sac_rl_mm=float(a + gap_u + 0.8),
        sac_ap_mm=float(b + gap_v),
        sac_top_mm=normal(2.0, 0.7, 0.0, 4.5),
        sac_shift_mm=(normal(0, 0.3, -0.8, 0.8), shift * room),
        sac_wander_mm=float(max(room, 0) * uniform(0.05, 0.4)),
        sac_phase=uniform(0, 2 * np.pi),
        sac_taper=normal(0.2, 0.1, -0.15, 0.5),
        bulk=bulk,
        texture_seed=int(rng.integers(2**62)),
        gm_size=normal(1.0, 0.08, 0.7, 1.3),
    )


def extend_anatomy(an: Anatomy) -> Anatomy:
    """Return the neck with thoracic discs below and the end of the cord above, for large views.

    The height of the thoracic levels grows from 19 mm downwards. The cord ends at the foramen magnum, 20 mm above the
    disc C1/C2.
    """
    discs = dict(an.discs_s_mm)
    for label in range(9, 17):
        discs[label] = discs[label - 1] - (18.5 + 0.5 * (label - 8))
    return replace(an, discs_s_mm=discs, ends=Ends(top_s_mm=discs[2] + 20.0))
