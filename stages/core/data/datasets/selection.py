"""Select the cases and files of a dataset that a registry entry asks for. Input is a list of paths, not the disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...base.errors import SettingsError, did_you_mean
from .manifest import SYNTHETIC, Excluded, ManifestRow
from .registry import ContrastFiles, Dataset, Frozen

#: The table of participants, fetched with every dataset that has one.
PARTICIPANTS = "participants.tsv"


@dataclass(frozen=True)
class Selection:
    """The cases to fetch, sorted; the cases that were not selected, with the reason; all paths that must be fetched."""

    cases: list[ManifestRow]
    excluded: list[Excluded]
    files: list[str]


def select(name: str, dataset: Dataset, frozen: Sequence[Frozen], tree: Iterable[str]) -> Selection:
    """Select cases from the paths of a commit.

    A case needs an image and, for role train, a mask. Role train selects all participants whom ``frozen`` does not list
    for any dataset; role test selects those whom it lists for ``name``.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    frozen : rows of ``data/frozen.csv``
    tree : all paths of the commit

    Raises
    ------
    SettingsError
        A pattern or an exclusion matches nothing, a test dataset has no frozen participants, or nothing is selected.
    """
    paths = frozenset(tree)
    imaged = {key: _imaged(name, key, contrast, paths) for key, contrast in dataset.contrasts.items()}
    everyone = sorted(set().union(*imaged.values()))
    reasons = _exclusions(name, dataset, everyone)
    wanted, left_out = _by_role(name, dataset.role, frozen, everyone)
    excluded = [Excluded(participant=sub, contrast="", reason=why) for sub, why in left_out.items()]
    cases: list[ManifestRow] = []
    for sub in wanted:
        if sub in reasons:
            excluded.append(Excluded(participant=sub, contrast="", reason=reasons[sub]))
            continue
        for key in _expected_contrasts(sub, imaged):
            why = _missing_file(sub, dataset.contrasts[key], paths, needs_mask=dataset.role == "train")
            if why:
                excluded.append(Excluded(participant=sub, contrast=key, reason=why))
            else:
                cases.append(_case(sub, key, dataset.contrasts[key], paths))
    if not cases:
        raise SettingsError(
            f"dataset {name!r}: nothing is left to fetch; {len(excluded)} were left out; correct its entry in the "
            "registry."
        )
    files = {path for case in cases for path in case.files}
    return Selection(
        sorted(cases, key=lambda case: case.identity),
        sorted(excluded, key=lambda row: (row.participant, row.contrast)),
        sorted(files | ({PARTICIPANTS} & paths)),
    )


def _imaged(name: str, key: str, contrast: ContrastFiles, paths: frozenset[str]) -> set[str]:
    """Return the participants who have an image of the contrast; every pattern must match a file of the dataset."""
    if contrast.optional and not _participants_with(contrast.image, paths):
        return set()
    for kind in ("image", "mask", "softmask", "discs"):
        pattern = getattr(contrast, kind)
        if pattern is not None and not _participants_with(pattern, paths):
            raise SettingsError(
                f"dataset {name!r}, contrast {key!r}: the {kind} pattern {pattern!r} matches none of the "
                f"{len(paths)} files at the pinned commit; correct it in the registry or remove the contrast."
            )
    return _participants_with(contrast.image, paths)


def _participants_with(pattern: str, paths: frozenset[str]) -> set[str]:
    """Return the participants for whom a path matches the pattern."""
    first, *rest = pattern.split("{sub}")
    compiled = re.compile(
        re.escape(first) + "(?P<sub>sub-[A-Za-z0-9]+)" + "(?P=sub)".join(re.escape(part) for part in rest)
    )
    return {match["sub"] for match in map(compiled.fullmatch, paths) if match}


def _exclusions(name: str, dataset: Dataset, everyone: Sequence[str]) -> dict[str, str]:
    """Return participant -> reason for all whom the entry excludes."""
    reasons: dict[str, str] = {}
    for sub, why in dataset.withdrawn.items():  # whether or not the dataset still has the participant
        reasons[sub] = f"withdrawn: {why}"
    for key, why in dataset.exclude.items():
        named = [sub for sub in everyone if (sub.startswith(key[:-1]) if key.endswith("*") else sub == key)]
        if not named:
            raise SettingsError(
                f"dataset {name!r} excludes {key!r}, but has no such participant{did_you_mean(key, everyone)}; "
                "correct `exclude` in the registry."
            )
        reasons = dict.fromkeys(named, why) | reasons
    return reasons


def _by_role(
    name: str, role: str, frozen: Sequence[Frozen], everyone: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the participants whom the role selects, and participant -> reason for the others."""
    if role == "test":
        own = sorted(row.participant for row in frozen if row.dataset == name)
        if not own:
            known = {row.dataset for row in frozen}
            raise SettingsError(
                f"dataset {name!r} is a test dataset, but data/frozen.csv lists no participant of it"
                f"{did_you_mean(name, known)}; add its participants there."
            )
        return own, {}
    held = {row.participant: f"frozen test set ({row.dataset})" for row in frozen}
    return [sub for sub in everyone if sub not in held], {sub: held[sub] for sub in everyone if sub in held}


def _expected_contrasts(sub: str, imaged: dict[str, set[str]]) -> list[str]:
    """Return the contrasts that a participant should have.

    These are all contrasts that some participant has. Synthetic volumes are the exception: a participant who has only
    those needs no other contrast, and a participant who has none of them needs none.
    """
    measured = [key for key in imaged if key != SYNTHETIC and imaged[key]]
    has_synthetic = sub in imaged.get(SYNTHETIC, set())
    if has_synthetic and not any(sub in imaged[key] for key in measured):
        return [SYNTHETIC]
    return sorted([*measured, SYNTHETIC] if has_synthetic else measured)


def _missing_file(sub: str, contrast: ContrastFiles, paths: frozenset[str], *, needs_mask: bool) -> str:
    """Return which file of a case the dataset lacks, as a reason to leave the case out; ``""`` when none is missing."""
    if contrast.image.format(sub=sub) not in paths:
        return "missing contrast"
    if needs_mask and (contrast.mask is None or contrast.mask.format(sub=sub) not in paths):
        return "missing mask"
    return ""


def _case(sub: str, key: str, contrast: ContrastFiles, paths: frozenset[str]) -> ManifestRow:
    def existing(pattern: str | None) -> str | None:
        path = None if pattern is None else pattern.format(sub=sub)
        return path if path in paths else None

    return ManifestRow(
        participant=sub,
        session="",
        contrast=key,
        image=contrast.image.format(sub=sub),
        mask=existing(contrast.mask),
        softmask=existing(contrast.softmask),
        discs=existing(contrast.discs),
    )
