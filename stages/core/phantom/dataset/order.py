"""A cohort of one participant, as the options of the command line order it."""

from __future__ import annotations

import math
from dataclasses import replace

from ...base.errors import SettingsError, did_you_mean
from ..acquisition.contrasts import PHANTOM_CONTRASTS, SIX
from ..acquisition.grid import LARGE, NECK
from ..anatomy.pathology import split_pathology
from .cohort import Cohort, Revision, find_cohort

#: The only cohort that takes these options.
ORDERED = "one"
VIEWS = {"neck": NECK, "large": LARGE}


def order_cohort(cohort: str, pathology: str | None = None, contrasts: str | None = None, view: str | None = None,
          turn: str | None = None) -> Cohort:  # fmt: skip
    """Return the cohort of a name; cohort ``one`` has the participant that is ordered.

    Parameters
    ----------
    cohort : name in ``COHORTS``
    pathology : options of ``PATHOLOGIES`` joined by +
    contrasts : names in ``PHANTOM_CONTRASTS`` joined by commas
    view : name in ``VIEWS``
    turn : three angles in degrees about x, y, z, joined by commas

    Raises
    ------
    SettingsError
        A name is unknown, the angles are not three numbers or turn the grid too far, or another cohort gets an option.
    """
    spec = find_cohort(cohort)
    ordered = {"--pathology": pathology, "--contrasts": contrasts, "--view": view, "--turn": turn}
    given = [name for name, value in ordered.items() if value is not None]
    if cohort != ORDERED:
        if given:
            raise SettingsError(
                f"{', '.join(given)} cannot be ordered for cohort {cohort!r}, whose participants are fixed; "
                f"add --cohort {ORDERED}."
            )
        return spec
    pathology = pathology or "HC"
    split_pathology(pathology)
    wanted = tuple(contrasts.split(",")) if contrasts else SIX
    for name in wanted:
        if name not in PHANTOM_CONTRASTS:
            guess = did_you_mean(name, PHANTOM_CONTRASTS)
            raise SettingsError(f"There is no contrast {name!r}{guess}; there are {', '.join(PHANTOM_CONTRASTS)}.")
    if len(set(wanted)) < len(wanted):
        raise SettingsError(f"--contrasts names one twice: {contrasts}; expected each once.")
    view = view or "neck"
    if view not in VIEWS:
        raise SettingsError(f"There is no view {view!r}{did_you_mean(view, VIEWS)}; there are {', '.join(VIEWS)}.")
    field = replace(VIEWS[view], turn_deg=_angles(turn or "0,0,0"))
    _ = field.turn  # raises an error for a grid that is turned too far, before anything is written
    return replace(spec, revisions={"r1": Revision(0, (), 1, wanted)}, view=field, training_pathologies=(pathology,))


def _angles(text: str) -> tuple[float, float, float]:
    """Return the three angles in a text such as ``12,0,-5``."""
    try:
        x, y, z = (float(word) for word in text.split(","))
    except ValueError:
        x = y = z = math.nan
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise SettingsError(f"--turn must be three angles in degrees joined by commas, e.g. 12,0,-5, not {text!r}.")
    return x, y, z
