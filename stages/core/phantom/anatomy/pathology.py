"""Diseases of the cord, one row per option of the command line, named as in participants.tsv."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...base.errors import SettingsError, did_you_mean
from .geometry import Anatomy
from .parts import Compression, Lesion, Thinning

#: Sign between options, as in `SevereCompression+Lesions`.
JOIN = "+"


@dataclass(frozen=True)
class Pathology:
    """One option: a description, and the function that changes an anatomy with numbers from a random generator."""

    what: str
    apply: Callable[[Anatomy, np.random.Generator], Anatomy]


def _healthy(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    del rng
    return an


def _compressed(an: Anatomy, where: tuple[Compression, ...]) -> Anatomy:
    return replace(an, compressions=an.compressions + where)


def _mild(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    where = an.discs_s_mm[int(rng.choice([4, 5]))]
    return _compressed(an, (Compression(where, float(rng.uniform(0.12, 0.25)), 4.0),))


def _bulging(an: Anatomy, rng: np.random.Generator, discs: list[int], low: float, high: float) -> Anatomy:
    return _compressed(an, tuple(
        Compression(an.discs_s_mm[disc], float(rng.uniform(low, high)), float(rng.uniform(3.0, 5.0)),
                    canal=float(rng.uniform(0.15, 0.35)))
        for disc in discs
    ))  # fmt: skip


def _moderate(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    return _bulging(an, rng, [int(rng.choice([4, 5]))], 0.25, 0.38)


def _severe(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    return _bulging(an, rng, [int(rng.choice([4, 5]))], 0.38, 0.50)


def _multilevel(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    return _bulging(an, rng, [4, 5, 6][: int(rng.integers(2, 4))], 0.12, 0.35)


def _lesions(rng: np.random.Generator, count: int) -> tuple[Lesion, ...]:
    return tuple(
        Lesion(float(rng.uniform(-25, 15)), float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.5, 0.5)),
               float(rng.uniform(1.2, 2.2)), float(rng.uniform(4, 9)))
        for _ in range(count)
    )  # fmt: skip


def _ms(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    lesions = _lesions(rng, 2)
    return replace(an, atrophy=_combined_loss(an.atrophy, float(rng.uniform(0.02, 0.08))), lesions=an.lesions + lesions)


def _many_lesions(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    return replace(an, lesions=an.lesions + _lesions(rng, int(rng.integers(4, 8))))


def _combined_loss(before: float, loss: float) -> float:
    """Return the fraction of area that is lost after two losses, one after the other."""
    return 1 - (1 - before) * (1 - loss)


def _atrophy(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    return replace(an, atrophy=_combined_loss(an.atrophy, float(rng.uniform(0.10, 0.30))))


def _local_atrophy(an: Anatomy, rng: np.random.Generator) -> Anatomy:
    thin = Thinning(float(rng.uniform(-25, 0)), float(rng.uniform(0.15, 0.35)), float(rng.uniform(6, 12)))
    return replace(an, thinnings=(*an.thinnings, thin))


PATHOLOGIES: dict[str, Pathology] = {
    "HC": Pathology("healthy control: nothing", _healthy),
    "MildCompression": Pathology(
        "one disc (C3/C4 or C4/C5) takes 12 to 25 % of the cord's depth; the canal stays as it is", _mild),
    "ModerateCompression": Pathology(
        "one disc (C3/C4 or C4/C5) takes 25 to 38 % of the cord's depth and 15 to 35 % of the canal's", _moderate),
    "SevereCompression": Pathology(
        "one disc (C3/C4 or C4/C5) takes 38 to 50 % of the cord's depth and 15 to 35 % of the canal's", _severe),
    "MultilevelCompression": Pathology(
        "two or three discs from C3/C4 down take 12 to 35 % of the cord's depth and 15 to 35 % of the canal's each",
        _multilevel),
    "MS": Pathology("two lesions, and 2 to 8 % of the area of the whole cord lost", _ms),
    "Lesions": Pathology("four to seven lesions of 1.2 to 2.2 mm radius and 4 to 9 mm half length", _many_lesions),
    "Atrophy": Pathology("10 to 30 % of the area of the whole cord lost", _atrophy),
    "LocalAtrophy": Pathology("15 to 35 % of the area lost at one place, SD 6 to 12 mm along the cord", _local_atrophy),
}  # fmt: skip


def split_pathology(name: str) -> list[str]:
    """Return the options in a name such as ``MS+Atrophy``.

    Raises
    ------
    SettingsError
        There is no such option.
    """
    names = name.split(JOIN)
    for one in names:
        if one not in PATHOLOGIES:
            raise SettingsError(
                f"There is no pathology {one!r}{did_you_mean(one, PATHOLOGIES)}; "
                f"there are {', '.join(PATHOLOGIES)}, joined by {JOIN!r}."
            )
    return names


def with_pathology(an: Anatomy, name: str, rng: np.random.Generator) -> Anatomy:
    """Return an anatomy with the diseases in ``name``, applied one after the other.

    Raises
    ------
    SettingsError
        There is no such option.
    """
    for one in split_pathology(name):
        an = PATHOLOGIES[one].apply(an, rng)
    return an
