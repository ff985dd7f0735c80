"""The generated cohorts: a table of participants, contrasts and revisions, the only place with these numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ...base.errors import SettingsError, did_you_mean
from ..acquisition.contrasts import NINE, SIX
from ..acquisition.grid import LARGE, NECK, View
from ..acquisition.scanner import Scanner
from ..anatomy.draw import draw_anatomy, extend_anatomy
from ..anatomy.geometry import Anatomy
from ..anatomy.pathology import with_pathology

THREE = ("T1w", "T2w", "T2star")


@dataclass(frozen=True)
class Revision:
    """Content of a revision: numbers of frozen, training and synthetic participants, and their contrasts."""

    frozen: int
    frozen_contrasts: tuple[str, ...]
    training: int
    training_contrasts: tuple[str, ...]
    synth: int = 0


@dataclass(frozen=True)
class Cohort:
    """A named cohort.

    Attributes
    ----------
    revisions : by name, in the order in which they are published
    view : field of view of all images
    seed : part of every random seed
    frozen_pathologies, training_pathologies : given to the participants in turn; where empty, one participant in seven
        has a mild compression and one in seven has multiple sclerosis
    spoiled : (participant, contrast) of images of which nobody can make out the cord, as scanners give some too; only
        where a revision is published without masks
    """

    name: str
    revisions: dict[str, Revision]
    view: View = NECK
    seed: int = 20250314
    frozen_pathologies: tuple[str, ...] = ()
    training_pathologies: tuple[str, ...] = ()
    spoiled: tuple[tuple[str, str], ...] = ()


COHORTS: dict[str, Cohort] = {cohort.name: cohort for cohort in (
    Cohort("demo", {
        "r1": Revision(6, SIX, 10, THREE),
        "r2": Revision(6, SIX, 18, SIX, 100),
    }, spoiled=(("sub-siteC106", "DWI"),)),
    Cohort("micro", {
        "r1": Revision(2, ("T1w", "T2w", "MTon"), 3, ("T1w", "T2w")),
        "r2": Revision(2, ("T1w", "T2w", "MTon"), 4, ("T1w", "T2w", "MTon"), 4),
    }, View((40.0, 44.0, 60.0))),
    Cohort("clinic", {
        "r1": Revision(4, NINE, 5, NINE),
        "r2": Revision(4, NINE, 8, NINE),
    },
        frozen_pathologies=("HC", "MS", "ModerateCompression", "Atrophy"),
        training_pathologies=("HC", "SevereCompression", "Lesions", "MildCompression", "LocalAtrophy",
                              "MultilevelCompression", "MS", "SevereCompression+Lesions")),
    Cohort("large", {"r1": Revision(1, ("T1w", "T2w"), 1, ("T1w", "T2w"))}, LARGE),
    # 300 images that are rendered quickly: they measure the cost of a fetch, which depends on files and bytes only.
    Cohort("three-hundred", {"r1": Revision(10, THREE, 90, THREE)}, View((24.0, 26.0, 30.0))),
    # One participant; the options of the command line say which.
    Cohort("one", {"r1": Revision(0, (), 1, SIX)}, training_pathologies=("HC",)),
)}  # fmt: skip

SITES: dict[str, Scanner] = {
    "A": Scanner("Siemens", bias=0.08, coil=0.06, noise=1.0, blur=0.35),
    "B": Scanner("GE", bias=0.12, coil=0.08, noise=1.25, blur=0.45, te=0.92, ti=0.93),
    "C": Scanner("Philips", bias=0.06, coil=0.04, noise=0.9, blur=0.30, tr=1.1, te=1.06),
}
#: First numbers of the frozen and of the training participants of a site.
_FIRST_FROZEN, _FIRST_TRAINING = 1, 101


@dataclass(frozen=True)
class PhantomParticipant:
    """A row of participants.tsv, and the contrasts that are rendered for the participant."""

    participant: str
    site: str
    sex: str
    age: int
    pathology: str
    contrasts: tuple[str, ...]
    frozen: bool
    synth: bool = False


def find_cohort(name: str | Cohort) -> Cohort:
    """Return the cohort of a name; an argument that is a cohort is returned unchanged.

    Raises
    ------
    SettingsError
        There is no such cohort.
    """
    if isinstance(name, Cohort):
        return name
    if name not in COHORTS:
        raise SettingsError(
            f"There is no cohort {name!r}{did_you_mean(name, COHORTS)}; there are {', '.join(COHORTS)}."
        )
    return COHORTS[name]


def find_revision(cohort: str | Cohort, name: str) -> Revision:
    """Return the revision of a name.

    Raises
    ------
    SettingsError
        The cohort has no such revision.
    """
    spec = find_cohort(cohort)
    known = spec.revisions
    if name not in known:
        raise SettingsError(f"Cohort {spec.name!r} has no revision {name!r}; it has {', '.join(known)}.")
    return known[name]


def last_revision(cohort: str) -> str:
    """Return the name of a cohort's newest revision."""
    return list(find_cohort(cohort).revisions)[-1]


def generator_of(cohort: Cohort, participant: str, what: str = "") -> np.random.Generator:
    """Return the random generator for one participant and purpose (``what``, e.g. a contrast).

    It depends only on these names and on the seed of the cohort.
    """
    words = np.frombuffer(hashlib.sha256(f"{participant}/{what}".encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([cohort.seed, *(int(w) for w in words)]))


def _participant(cohort: Cohort, k: int, *, frozen: bool, contrasts: tuple[str, ...]) -> PhantomParticipant:
    """Return frozen or training participant number ``k`` of a cohort."""
    site = sorted(SITES)[k % len(SITES)]
    name = f"sub-site{site}{(_FIRST_FROZEN if frozen else _FIRST_TRAINING) + k // len(SITES):03d}"
    rng = generator_of(cohort, name, "person")
    sex = "M" if rng.uniform() < 0.5 else "F"
    age = int(rng.integers(20, 61))
    # One in seven each. 7 and the number of sites have no common divisor, so that a pathology occurs at several sites.
    # One of the six frozen participants of the demo has a mild compression, as 10 of 49 in the literature's frozen set.
    chosen = cohort.frozen_pathologies if frozen else cohort.training_pathologies
    pathology = "MildCompression" if k % 7 == 4 else "MS" if k % 7 == 6 else "HC"
    if chosen:
        pathology = chosen[k % len(chosen)]
    return PhantomParticipant(name, site, sex, age, pathology, contrasts, frozen)


def participants_of(cohort: Cohort, revision: Revision) -> list[PhantomParticipant]:
    """Return all participants of a revision in a fixed order: frozen, training, synthetic.

    A larger revision has the same participants and more at the end of each group.

    Raises
    ------
    SettingsError
        The revision has more frozen participants than there are numbers for them.
    """
    if revision.frozen > (_FIRST_TRAINING - _FIRST_FROZEN) * len(SITES):
        raise SettingsError(
            f"A cohort holds at most {(_FIRST_TRAINING - _FIRST_FROZEN) * len(SITES)} frozen participants."
        )
    out = [_participant(cohort, k, frozen=True, contrasts=revision.frozen_contrasts) for k in range(revision.frozen)]
    out += [
        _participant(cohort, k, frozen=False, contrasts=revision.training_contrasts) for k in range(revision.training)
    ]
    out += [
        PhantomParticipant(f"sub-synth{k + 1:03d}", "synth", "n/a", 0, "n/a", ("synth",), frozen=False, synth=True)
        for k in range(revision.synth)
    ]
    return out


def frozen_participants(cohort: str, revision: str) -> list[str]:
    """Return the ids of the frozen participants of a cohort's revision."""
    return [p.participant for p in participants_of(find_cohort(cohort), find_revision(cohort, revision)) if p.frozen]


def anatomy_of(cohort: Cohort, person: PhantomParticipant) -> Anatomy:
    """Return the neck of a participant, with pathology; for a large view also with the cord beyond the neck."""
    rng = generator_of(cohort, person.participant, "anatomy")
    an = draw_anatomy(rng, sex=person.sex)
    an = with_pathology(an, person.pathology, rng)
    return extend_anatomy(an) if cohort.view.large else an
