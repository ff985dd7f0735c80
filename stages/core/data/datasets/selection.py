"""Which files of a dataset's commit the registry selects: pure, on a list of paths."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

from ...base.errors import CordriftError, did_you_mean
from .manifest import SYNTHETIC, Excluded, ManifestRow, Participant
from .registry import Contrast, Dataset, Frozen

#: The table of participants, fetched with every dataset that has one.
PARTICIPANTS = "participants.tsv"
#: Column of the manifest -> columns of participants.tsv, the first that says something counts.
_COLUMNS = {
    "site": ("institution_id", "institution"),
    "manufacturer": ("manufacturer",),
    "sex": ("sex",),
    "age": ("age",),
    "pathology": ("pathology",),
}


@dataclass(frozen=True)
class Selection:
    """Cases to fetch, sorted; what was not taken with its reason; every path that must be fetched."""

    cases: list[ManifestRow]
    excluded: list[Excluded]
    files: list[str]


def select(name: str, dataset: Dataset, frozen: Sequence[Frozen], tree: Iterable[str]) -> Selection:
    """Select cases from the paths of a commit.

    A case needs an image, and a mask where the role is train. Role train takes every participant but those that
    ``frozen`` lists for whichever dataset; role test takes those that it lists for ``name``.

    Raises
    ------
    CordriftError
        A pattern that matches nothing, an exclusion that names nobody, a test dataset without frozen
        participants, or a selection that is empty.
    """
    paths = frozenset(tree)
    found = {key: _images(name, key, contrast, paths) for key, contrast in dataset.contrasts.items()}
    everyone = sorted(set().union(*found.values()))
    reasons = _exclusions(name, dataset, everyone)
    wanted, left_out = _roles(name, dataset.role, frozen, everyone)
    excluded = [Excluded(participant=sub, contrast="", reason=why) for sub, why in left_out.items()]
    cases: list[ManifestRow] = []
    for sub in wanted:
        if sub in reasons:
            excluded.append(Excluded(participant=sub, contrast="", reason=reasons[sub]))
            continue
        for key in _expected(sub, found):
            why = _lacks(sub, dataset.contrasts[key], paths, masked=dataset.role == "train")
            if why:
                excluded.append(Excluded(participant=sub, contrast=key, reason=why))
            else:
                cases.append(_case(sub, key, dataset.contrasts[key], paths))
    if not cases:
        raise CordriftError(f"dataset {name!r}: nothing is left to fetch; {len(excluded)} were left out.")
    files = {path for case in cases for path in (case.image, case.mask, case.softmask, case.discs) if path is not None}
    return Selection(
        sorted(cases, key=lambda case: (case.participant, case.session, case.contrast)),
        sorted(excluded, key=lambda row: (row.participant, row.contrast)),
        sorted(files | ({PARTICIPANTS} & paths)),
    )


def _images(name: str, key: str, contrast: Contrast, paths: frozenset[str]) -> set[str]:
    """Participants that have the contrast's image; every pattern must match something in the dataset."""
    if contrast.optional and not _matches(contrast.image, paths):
        return set()
    for kind in ("image", "mask", "softmask", "discs"):
        pattern = getattr(contrast, kind)
        if pattern is not None and not _matches(pattern, paths):
            raise CordriftError(
                f"dataset {name!r}, contrast {key!r}: the {kind} pattern {pattern!r} matches none of the "
                f"{len(paths)} files at the pinned commit; correct it in the registry or remove the contrast."
            )
    return _matches(contrast.image, paths)


def _matches(pattern: str, paths: frozenset[str]) -> set[str]:
    first, *rest = pattern.split("{sub}")
    compiled = re.compile(
        re.escape(first) + "(?P<sub>sub-[A-Za-z0-9]+)" + "(?P=sub)".join(re.escape(part) for part in rest)
    )
    return {match["sub"] for match in map(compiled.fullmatch, paths) if match}


def _exclusions(name: str, dataset: Dataset, everyone: Sequence[str]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for sub, why in dataset.withdrawn.items():  # whether or not the dataset still has the participant
        reasons[sub] = f"withdrawn: {why}"
    for key, why in dataset.exclude.items():
        named = [sub for sub in everyone if (sub.startswith(key[:-1]) if key.endswith("*") else sub == key)]
        if not named:
            raise CordriftError(
                f"dataset {name!r} excludes {key!r}, which names no participant of it{did_you_mean(key, everyone)}."
            )
        reasons = dict.fromkeys(named, why) | reasons
    return reasons


def _roles(name: str, role: str, frozen: Sequence[Frozen], everyone: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Participants to take, and those whom the role leaves out with the reason."""
    if role == "test":
        own = sorted(row.participant for row in frozen if row.dataset == name)
        if not own:
            known = {row.dataset for row in frozen}
            raise CordriftError(
                f"dataset {name!r} is a test dataset, but the table of frozen participants names none of it"
                f"{did_you_mean(name, known)}."
            )
        return own, {}
    held = {row.participant: f"frozen test set ({row.dataset})" for row in frozen}
    return [sub for sub in everyone if sub not in held], {sub: held[sub] for sub in everyone if sub in held}


def _expected(sub: str, found: dict[str, set[str]]) -> list[str]:
    """Contrasts that a participant should have: nobody is missed among synthetic volumes, nor these elsewhere."""
    measured = [key for key in found if key != SYNTHETIC and found[key]]
    has_synthetic = sub in found.get(SYNTHETIC, set())
    if has_synthetic and not any(sub in found[key] for key in measured):
        return [SYNTHETIC]
    return sorted([*measured, SYNTHETIC] if has_synthetic else measured)


def _lacks(sub: str, contrast: Contrast, paths: frozenset[str], *, masked: bool) -> str:
    if contrast.image.format(sub=sub) not in paths:
        return "missing contrast"
    if masked and (contrast.mask is None or contrast.mask.format(sub=sub) not in paths):
        return "missing mask"
    return ""


def _case(sub: str, key: str, contrast: Contrast, paths: frozenset[str]) -> ManifestRow:
    def there(pattern: str | None) -> str | None:
        path = None if pattern is None else pattern.format(sub=sub)
        return path if path in paths else None

    return ManifestRow(
        participant=sub,
        session="",
        contrast=key,
        image=contrast.image.format(sub=sub),
        mask=there(contrast.mask),
        softmask=there(contrast.softmask),
        discs=there(contrast.discs),
    )


def participants(cases: Iterable[ManifestRow], table: str) -> list[Participant]:
    """Read the rows of participants.tsv (its text) for the participants of ``cases``; ``""`` where it says nothing."""
    rows = {row.get("participant_id") or "": row for row in csv.DictReader(StringIO(table), delimiter="\t")}
    return [
        Participant(participant=sub, **{field: _cell(rows.get(sub, {}), names) for field, names in _COLUMNS.items()})
        for sub in sorted({case.participant for case in cases})
    ]


def _cell(row: dict[str, str], names: Sequence[str]) -> str:
    values = ((row.get(name) or "").strip() for name in names)
    return next((value for value in values if value and value.lower() != "n/a"), "")
